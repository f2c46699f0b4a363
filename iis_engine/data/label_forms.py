"""Labels of a manifest that are not one text per image: a column of 0 and 1 for each class, and cells with several labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from iis_engine.data.tables import Table
from iis_engine.errors import DataError

_SEPARATORS = {"|": 1, ";": 1, ",": 2, " ": 3}
"""Separator to the number of different labels from which it may join several: commas and spaces are parts of names too."""
_ONES = frozenset(("1", "1.0"))
_INDICATORS = _ONES | {"0", "0.0"}
_REPEATED_SHARE = 0.5
"""Share of the joined labels with a part that other labels have, from which they are several; synonyms are joined by commas too."""


def indicator_columns(table: Table, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns if they are at least two and every cell of them is 0 or 1, else none."""
    if len(columns) < 2 or not len(table):
        return ()
    return tuple(columns) if all(_is_indicator(table, column) for column in columns) else ()


def labels_of_indicators(table: Table, columns: Sequence[str]) -> list[str | None]:
    """The name of the column with a 1 in each row; None for rows without one.

    Raises
    ------
    DataError
        For a row with several.
    """
    labels = list[str | None]()
    for cells in zip(*(table.text(column) for column in columns), strict=True):
        named = [column for column, cell in zip(columns, cells, strict=True) if cell in _ONES]
        if len(named) > 1:
            raise several_labels(table.name, f"{named[0]} and {named[1]}")
        labels.append(named[0] if named else None)
    return labels


def require_single_labels(table: Table, column: str) -> None:
    """Refuse a column whose cells are lists, or join labels that other cells have too.

    Raises
    ------
    DataError
        With an example.
    """
    joined = next((cell for cell in table.columns[column] if isinstance(cell, list)), None)
    if joined is not None:
        raise several_labels(table.name, str(joined))  # pyright: ignore[reportUnknownArgumentType]  (a cell of any list)
    labels = {label for label in table.text(column) if label is not None}
    for separator, joined_min in _SEPARATORS.items():
        parts = {label: each for label in labels if len(each := _parts(label, separator)) > 1}
        uses = Counter(part for each in parts.values() for part in each)
        if separator == " ":  # words of names repeat, so that each must be a label itself
            repeated = [label for label, each in parts.items() if each <= labels]
        else:
            repeated = [label for label, each in parts.items() if any(uses[part] > 1 or part in labels for part in each)]
        if len(repeated) >= max(joined_min, _REPEATED_SHARE * len(parts)):
            raise several_labels(table.name, repr(min(repeated)))


def several_labels(name: str, example: str) -> DataError:
    """The refusal of labels that are several for one image."""
    return DataError(
        f"{name} gives several labels to one image ({example[:100]}), and a score needs one: keep the label that matters, or send a table "
        "for each label (with it or without it) and score each as a data set of its own.",
        code="manifest_multi_label",
        param="manifest",
    )


def _is_indicator(table: Table, column: str) -> bool:
    try:
        return set(table.text(column)) <= _INDICATORS
    except DataError:
        return False


def _parts(label: str, separator: str) -> set[str]:
    return {part for text in label.split(separator) if (part := text.strip())}
