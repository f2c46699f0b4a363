"""Concept libraries 𝒞, one module per kind."""
