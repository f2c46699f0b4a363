"""Read ready features from a CSV or Parquet table: one row per image, a label column, an optional split, and columns of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from iis_engine.data.folders.split_names import SplitRole, parse_split_name
from iis_engine.data.labels.manifest_columns import LABEL_NAMES, SPLIT_NAMES, first_named
from iis_engine.errors import DataError, first_line, first_names

FEATURE_TABLE_SUFFIXES = (".csv", ".parquet")
_VECTOR_NAMES = ("features", "feature", "embedding", "embeddings", "representation", "vector", "x")
_NUMBER_NAMES = frozenset(("id", "index", "row", "idx", "unnamed: 0", "", "image_id", "__index_level_0__"))
"""Names of columns that number the rows and are no features."""


class FeatureTable(NamedTuple):
    """Arrays of a table.

    Attributes
    ----------
    arrays : X and y, or X_train, y_train, X_test, y_test
    notes : columns that were left out, and the split that was chosen
    """

    arrays: dict[str, NDArray[Any]]
    notes: tuple[str, ...]


def read_feature_table(path: Path) -> FeatureTable:
    """Read a table of features.

    Parameters
    ----------
    path : CSV with a header or Parquet; a label column with a usual name (text or integers); optionally a split column; features in
        columns of numbers, or in one column of vectors of equal length

    Raises
    ------
    DataError
        For a damaged file, and where labels or features are not found.
    """
    import pyarrow.csv
    import pyarrow.lib
    import pyarrow.parquet

    try:
        with path.open("rb") as stream:  # errors quote a path
            table: Any = pyarrow.csv.read_csv(stream) if path.suffix.lower() == ".csv" else pyarrow.parquet.read_table(stream)
    except (OSError, ValueError, pyarrow.lib.ArrowException) as error:
        raise DataError(f"{path.name} is not a readable table of features ({first_line(error)}).") from error
    names = [str(name) for name in table.column_names]
    label = first_named(names, LABEL_NAMES)
    if label is None:
        raise DataError(f"{path.name} has no column of labels; name one label. It has {first_names(names, 10)}.")
    split = first_named([name for name in names if name != label], SPLIT_NAMES)
    X, notes = _matrix(table, [name for name in names if name not in (label, split)], path.name)
    y = _labels(table, label)
    if split is None:
        return FeatureTable({"X": X, "y": y}, notes)
    roles = [_role(value, split, path.name) for value in cast("list[object]", table.column(split).to_pylist())]
    held_out: SplitRole = "test" if "test" in roles else "validation"
    if left_out := sum(role not in ("train", held_out) for role in roles):
        notes = (*notes, f"The {held_out} rows are the test split; {left_out} rows of other splits were left out.")
    train, test = (np.array([role == wanted for role in roles], bool) for wanted in ("train", held_out))
    return FeatureTable({"X_train": X[train], "y_train": y[train], "X_test": X[test], "y_test": y[test]}, notes)


def _matrix(table: Any, names: list[str], file_name: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return the features (n, d) float32, and a note on columns that were left out."""
    import pyarrow.types as kinds

    types = {name: table.schema.field(name).type for name in names}
    vectors = [name for name, kind in types.items() if kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)]
    vector = first_named(vectors, _VECTOR_NAMES) or (vectors[0] if len(vectors) == 1 else None)
    numbers = [
        name
        for name, kind in types.items()
        if (kinds.is_floating(kind) or kinds.is_integer(kind)) and name.strip().casefold() not in _NUMBER_NAMES
    ]
    used = [vector] if vector is not None else numbers
    if not used:
        raise DataError(f"{file_name} has no columns of numbers, and no column of vectors named features.")
    unused = [name for name in names if name not in used]
    notes = (f"{len(unused)} columns of {file_name} are no features and were left out: {first_names(unused)}.",) if unused else ()
    try:
        if vector is not None:
            return np.array(table.column(vector).to_pylist(), np.float32), notes
        columns = [np.asarray(table.column(name).to_numpy(), np.float32) for name in used]
    except (TypeError, ValueError) as error:
        raise DataError(f"{file_name} has missing values, or vectors of different lengths ({first_line(error)}).") from error
    return np.stack(columns, axis=1), notes


def _labels(table: Any, name: str) -> NDArray[Any]:
    values = cast("list[object]", table.column(name).to_pylist())
    if any(value is None for value in values):
        raise DataError(f"The label column {name!r} has empty cells; remove these rows.")
    return np.array(values)


def _role(value: object, column: str, file_name: str) -> SplitRole:
    named = parse_split_name(str(value))
    if named is None:
        raise DataError(f"The split {str(value)!r} in the column {column!r} of {file_name} is not understood; write train or test.")
    return named.role
