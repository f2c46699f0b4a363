"""Image data sets: archives, class folders, the Hugging Face Hub, and image decoding."""
