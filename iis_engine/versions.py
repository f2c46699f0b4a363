"""Versions of what the engine computes. They are part of the cache keys of stored results."""

ENGINE_VERSION = "9"
"""Of every computed artifact; raise it when a number changes."""
ANALYSIS_VERSION = "5"
"""Of the analysis of a study's rows."""
