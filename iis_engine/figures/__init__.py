"""Figures of reports, explanations and studies."""
