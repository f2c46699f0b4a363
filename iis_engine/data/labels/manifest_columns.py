"""Recognise the columns of a manifest by their names: path, label and split."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from iis_engine.data.labels.label_forms import indicator_columns
from iis_engine.data.labels.tables import Table
from iis_engine.errors import DataError, first_names

PATH_NAMES = (
    *("path", "file_name", "filename", "file", "filepath", "filepaths", "file_path", "image_path", "img_path", "imgpath", "image_file"),
    *("image_filename", "image_name", "img_name", "image", "img", "image_id", "img_id", "imageid", "picture", "photo", "jpg", "name", "id"),
)
LABEL_NAMES = (
    *("label", "labels", "class", "class_name", "classname", "class_label", "label_name", "category", "category_name", "target", "y"),
    *("breed", "species", "variety", "diagnosis", "dx", "class_id", "label_id", "category_id", "tag"),
)
SPLIT_NAMES = ("split", "subset", "partition", "phase", "data_set", "dataset", "set", "usage", "is_train", "is_training", "is_test")
_SAMPLE_ROWS = 200
_NAMED_SHARE = 0.5
_UNNAMED_SHARE = 0.9


class ManifestColumns(NamedTuple):
    """Names of a table's columns; the split is None without one.

    Attributes
    ----------
    indicators : columns of 0 and 1 that give the label in the place of `label`, one for each class
    """

    path: str
    label: str
    split: str | None
    indicators: tuple[str, ...] = ()


def find_columns(
    table: Table, names_image: Callable[[str], bool], given: dict[str, str], *, is_chosen: bool = False
) -> ManifestColumns | None:
    """Find the columns of a manifest; None if the table is not recognisable as one.

    Parameters
    ----------
    names_image : whether a cell names an image of the data set
    given : names chosen by the user, under path, label and split
    is_chosen : whether the user chose the table, so that a column with a usual name has the paths, whatever they name

    Raises
    ------
    DataError
        For a chosen column that the table lacks.
    """
    for role, column in given.items():
        if column not in table.columns:
            raise DataError(
                f"{table.name} has no column {column!r} for the {role}; it has {first_names(list(table.columns), 20)}.",
                code="manifest_columns",
                param=f"manifest.{role}_column",
            )
    path = given.get("path") or _path_column(table, names_image, 0.0 if is_chosen else _NAMED_SHARE)
    if path is None:
        return None
    rest = [name for name in table.columns if name != path]
    split = given.get("split") or first_named([name for name in rest if name != given.get("label")], SPLIT_NAMES)
    rest = [name for name in rest if name != split]
    label = given.get("label") or first_named(rest, LABEL_NAMES) or (rest[0] if len(rest) == 1 else None)
    if label is not None:
        return ManifestColumns(path, label, split)
    indicators = indicator_columns(table, rest)
    return ManifestColumns(path, "", split, indicators) if indicators else None


def _path_column(table: Table, names_image: Callable[[str], bool], named_share: float) -> str | None:
    shares = {name: _share(table, name, names_image) for name in table.columns}
    named = [name for name in _by_name(list(shares), PATH_NAMES) if shares[name] >= named_share]
    named.sort(key=lambda name: shares[name] < _NAMED_SHARE)
    return named[0] if named else next((name for name, share in shares.items() if share >= _UNNAMED_SHARE), None)


def _share(table: Table, column: str, names_image: Callable[[str], bool]) -> float:
    sample = table.columns[column][:_SAMPLE_ROWS]
    return sum(isinstance(cell, (str, int)) and names_image(str(cell)) for cell in sample) / len(sample) if sample else 0.0


def first_named(columns: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the column whose name comes first among the known ones, whatever its case and separators."""
    return next(iter(_by_name(columns, known)), None)


def _by_name(columns: Sequence[str], known: Sequence[str]) -> list[str]:
    """The columns with one of the known names, in the order of these."""
    simple = {re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_"): name for name in reversed(columns)}
    return [simple[name] for name in known if name in simple]
