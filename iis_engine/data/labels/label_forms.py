"""Labels in the rows of a manifest: a column of 0 and 1 for each label, lists, and cells that join labels by a separator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from iis_engine.data.labels.tables import Table
from iis_engine.errors import DataError

Labels = tuple[str, ...] | None
"""Labels of a row of a manifest; none for (), and not known for None."""
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


def labels_of_indicators(table: Table, columns: Sequence[str]) -> list[Labels]:
    """The names of the columns with a 1 in each row."""
    rows = zip(*(table.text(column) for column in columns), strict=True)
    return [tuple(column for column, cell in zip(columns, cells, strict=True) if cell in _ONES) for cells in rows]


def labels_of_column(table: Table, column: str) -> list[Labels]:
    """The labels in each cell of a column: those of a list, of text with a separator where other cells have its parts too, or one.

    Raises
    ------
    DataError
        For a cell that is an object or bytes, or a list of such.
    """
    cells = table.columns[column]
    if any(isinstance(cell, list) for cell in cells):
        return [_labels_of_list(cell, table, column) for cell in cells]
    texts = table.text(column)
    separator = _separator({text for text in texts if text is not None})
    return [None if text is None else (text,) if separator is None else tuple(_parts(text, separator)) for text in texts]


def _labels_of_list(cell: object, table: Table, column: str) -> Labels:
    """The labels of a list, an empty list having none; of one value that one."""
    if cell is None:
        return None
    values: list[object] = cell if isinstance(cell, list) else [cell]  # pyright: ignore[reportUnknownVariableType]  (a cell of any list)
    texts = Table(table.name, {column: values}).text(column)
    return tuple(dict.fromkeys(text for text in texts if text is not None))


def _separator(labels: set[str]) -> str | None:
    """The separator that joins several labels in a cell; None where a cell has one label."""
    for separator, joined_min in _SEPARATORS.items():
        parts = {label: each for label in labels if len(each := _parts(label, separator)) > 1}
        uses = Counter(part for each in parts.values() for part in each)
        if separator == " ":  # words of names repeat, so that each must be a label itself
            repeated = [label for label, each in parts.items() if each.keys() <= labels]
        else:
            repeated = [label for label, each in parts.items() if any(uses[part] > 1 or part in labels for part in each)]
        if len(repeated) >= max(joined_min, _REPEATED_SHARE * len(parts)):
            return separator
    return None


def _is_indicator(table: Table, column: str) -> bool:
    try:
        return set(table.text(column)) <= _INDICATORS
    except DataError:
        return False


def _parts(label: str, separator: str) -> dict[str, None]:
    return {part: None for text in label.split(separator) if (part := text.strip())}
