"""Checkpoint files: read as state dicts of plain tensors, matched with a network's keys, and loaded."""
