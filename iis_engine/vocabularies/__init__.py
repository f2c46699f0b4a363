"""Vocabularies of phrases, shipped and uploaded."""
