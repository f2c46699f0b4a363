"""Data sets on disk, in archives and on the Hub, and the images in them."""
