"""Numbers and intervals as text."""

from __future__ import annotations


def format_score(value: float | None, form: str = ".3f") -> str:
    """Format a score; a missing one is `withheld`."""
    return "withheld" if value is None else format(value, form)


def format_interval(low: float | None, high: float | None, form: str = ".3f") -> str:
    """Format an interval as `low to high`; an empty string if a bound is missing."""
    return "" if low is None or high is None else f"{low:{form}} to {high:{form}}"
