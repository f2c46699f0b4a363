"""Queries in the parent: receive them, run them in a confined process, and send replies."""
