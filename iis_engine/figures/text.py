"""Names in figures: taken from the wire's dictionaries, cleaned, and cut to the width there is. What is drawn is decided by the figures."""

from __future__ import annotations

from typing import Any

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

ELLIPSIS = "…"
POINTS_PER_INCH = 72


def concept_name(concept: dict[str, Any]) -> str:
    """The phrase of a concept, or where it came from and its number, as `cluster 7`.

    A negative activation says that the representation points away from the concept, and so does its name.
    """
    name = plain(concept.get("label") or "") or f"{concept.get('origin') or 'concept'} {concept['concept']}"
    return f"{name} (its opposite)" if (concept.get("activation") or 0) < 0 else name


def plain(text: str) -> str:
    """One line that every file format can hold: control characters and halves of surrogate pairs become spaces."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def fitted(text: str, width_inches: float, size_points: float, lines: int = 1, *, weight: str = "normal") -> str:
    """The text over at most so many lines of a width, broken between words where that can be, and ended by … where it was cut."""
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
    """Inches that one line takes; nothing in it is read as mathematics."""
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
    """How many characters fit, at least one; found by halving, for phrases may be long."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width_of(text[:middle], font) <= width_inches else (low, middle - 1)
    return low
