"""Photograph-like scenes with known parts: an object in a place, drawn by numpy and Pillow. No network and no service."""
