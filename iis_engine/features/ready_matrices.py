"""Ready matrices and labels that a user sends: split, checked and numbered."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iis_engine.data.splits import seeded_rank
from iis_engine.errors import DataError
from iis_engine.features.label_matrices import checked_label_matrix, rarest_label_of


def split_rows(X: NDArray[Any], y: NDArray[Any], test_share: float, seed: int) -> dict[str, NDArray[Any]]:
    """Split rows by seed and content within each class, so that their order has no effect."""
    if X.ndim == 0 or y.ndim not in (1, 2) or len(X) != len(y):
        raise DataError(f"X has {len(X) if X.ndim else 0} rows but y has shape {y.shape}; give one label per row.")
    groups = y
    if y.ndim == 2:
        labels = checked_label_matrix(y, "y")
        groups = rarest_label_of(labels, labels.sum(dim=0, dtype=torch.int64)).numpy()
    digests = [seeded_rank(seed, hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest()) for row in X]
    is_test = np.zeros(len(y), bool)
    for value in np.unique(groups):
        rows = sorted(np.flatnonzero(groups == value).tolist(), key=lambda row: digests[row])
        if len(rows) > 1:
            is_test[rows[: min(max(1, round(test_share * len(rows))), len(rows) - 1)]] = True
    return {"X_train": X[~is_test], "y_train": y[~is_test], "X_test": X[is_test], "y_test": y[is_test]}


def number_text(y_train: NDArray[Any], y_test: NDArray[Any]) -> tuple[list[str], tuple[NDArray[Any], NDArray[Any]]]:
    """Replace labels that are text by their places in sorted order; return the texts, none for other labels."""
    if y_train.dtype.kind != "U" and y_test.dtype.kind != "U":
        return [], (_whole(y_train), _whole(y_test))
    texts = sorted({str(value) for y in (y_train, y_test) for value in y.ravel().tolist()})
    places = {text: place for place, text in enumerate(texts)}
    numbered = [np.array([places[str(value)] for value in y.ravel().tolist()], np.int64).reshape(y.shape) for y in (y_train, y_test)]
    return texts, (numbered[0], numbered[1])


def _whole(y: NDArray[Any]) -> NDArray[Any]:
    """Labels that are whole numbers in floating point, as some programs save them, as integers."""
    is_whole = np.issubdtype(y.dtype, np.floating) and bool(np.isfinite(y).all()) and bool((y == np.round(y)).all()) and y.size > 0
    return y.astype(np.int64) if is_whole and bool((np.abs(y) < 2**53).all()) else y


def checked_matrix(array: NDArray[Any], name: str) -> Tensor:
    """A finite real matrix as float32.

    Raises
    ------
    DataError
    """
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(f"{name} must be a matrix with rows and columns; its shape is {array.shape}.")
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise DataError(f"{name} must contain real numbers; its type is {array.dtype}.")
    matrix = array.astype(np.float32)
    if not np.isfinite(matrix).all():
        raise DataError(f"{name} contains {int((~np.isfinite(matrix)).sum())} values that are NaN or infinite; remove or replace them.")
    return torch.from_numpy(matrix)


def checked_labels(array: NDArray[Any], name: str) -> Tensor:
    """One integer label per row as int64.

    Raises
    ------
    DataError
    """
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"{name} must be one integer per row; its shape is {array.shape}, its type {array.dtype}.")
    if array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise DataError(f"{name} contains the label {int(array.max())}; send labels of at most 63 bits.")
    return torch.from_numpy(array.astype(np.int64))


def renumber(y_train: Tensor, y_test: Tensor) -> tuple[list[int], tuple[Tensor, Tensor]]:
    """The distinct labels in order, and the labels of both splits as places in them.

    Raises
    ------
    DataError
        If there is one class only, or a class lacks a row in one of the splits.
    """
    values = torch.unique(y_train)
    if len(values) < 2:
        raise DataError("The training labels have only one class; a score needs at least two.")
    unknown = sorted(set(y_test.tolist()) - set(values.tolist()))
    if unknown:
        raise DataError(
            f"The test labels {unknown[:5]} do not occur among the training labels; every class needs at least one training row."
        )
    absent = sorted(set(values.tolist()) - set(y_test.tolist()))
    if absent:
        raise DataError(f"Classes {absent[:5]} have no test row; every class needs at least one.")
    return values.tolist(), (torch.searchsorted(values, y_train), torch.searchsorted(values, y_test))
