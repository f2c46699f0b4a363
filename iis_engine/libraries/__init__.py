"""Concept libraries, one module a kind."""
