"""Metrics of a library, its concepts and its sparse code, computed from the stored artifacts of a score (METHOD §7)."""
