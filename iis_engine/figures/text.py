"""Texts in figures: names of concepts, control characters removed, fitted to a width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

ELLIPSIS = "…"
POINTS_PER_INCH = 72


def concept_name(concept: dict[str, Any]) -> str:
    """The phrase of a concept, or its origin and number such as `cluster 7`; with '(its opposite)' for a negative activation."""
    name = plain(concept.get("label") or "") or f"{concept.get('origin') or 'concept'} {concept['concept']}"
    return f"{name} (its opposite)" if (concept.get("activation") or 0) < 0 else name


def quantity_words(described: Mapping[str, Any]) -> str:
    """What a report, a profile or a section of a study retains: accuracy, or mean average precision of multi-label data."""
    return str(described.get("quantity", "accuracy")).replace("_", " ")


def plain(text: str) -> str:
    """The text as one line; control characters and lone surrogates, which some file formats refuse, become spaces."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def fitted(text: str, width_inches: float, size_points: float, lines: int = 1, *, weight: str = "normal") -> str:
    """The text in at most `lines` lines of a width, broken between words where possible; a cut text ends in …."""
    font = FontProperties(size=size_points, weight=weight)
    rest, rows = plain(text), list[str]()
    while rest and len(rows) < lines - 1:
        row = _first_row(rest, width_inches, font)
        rows.append(row)
        rest = rest[len(row) :].lstrip()
    if rest:
        rows.append(_cut(rest, width_inches, font))
    return "\n".join(rows)


def width_of(text: str, font: FontProperties) -> float:
    """Width of one line in inches; never parsed as mathematics."""
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / POINTS_PER_INCH


def _first_row(text: str, width_inches: float, font: FontProperties) -> str:
    fitting = _longest(text, width_inches, font)
    if fitting == len(text):
        return text
    space = text.rfind(" ", 0, fitting + 1)
    return text[: space if space > 0 else fitting].rstrip()


def _cut(text: str, width_inches: float, font: FontProperties) -> str:
    if _longest(text, width_inches, font) == len(text):
        return text
    return text[: _longest(text, width_inches - width_of(ELLIPSIS, font), font)].rstrip() + ELLIPSIS


def _longest(text: str, width_inches: float, font: FontProperties) -> int:
    """Number of characters that fit, at least one; by bisection, since phrases may be long."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width_of(text[:middle], font) <= width_inches else (low, middle - 1)
    return low
