"""Decode image files, name unread formats, and check every image of a data set once."""
