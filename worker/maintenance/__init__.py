"""Maintenance: sweep, expire and collect garbage."""
