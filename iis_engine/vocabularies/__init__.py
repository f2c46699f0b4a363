"""Vocabularies: phrases for text concepts, shipped, uploaded, or derived from class names. Torch-free."""
