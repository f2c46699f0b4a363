"""Label matrices (n, C) of multi-label data: from numbers of labels, checks of ready ones, and the rarest label of each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iis_engine.data.labels.multi_label import require_every_label, untested_labels
from iis_engine.errors import DataError


def label_matrix_of(labels: Sequence[Sequence[int]], label_count: int) -> Tensor:
    """(n, C) uint8 with a 1 for each label of each image.

    Examples
    --------
    >>> label_matrix_of([(0, 2), ()], 3).tolist()
    [[1, 0, 1], [0, 0, 0]]
    """
    matrix = torch.zeros(len(labels), label_count, dtype=torch.uint8)
    for row, numbers in enumerate(labels):
        matrix[row, list(numbers)] = 1
    return matrix


def rarest_label_of(labels: Tensor, counts: Tensor) -> Tensor:
    """The label of each row that fewest rows have (the first on a tie), C for a row without any: (n,) int64.

    Parameters
    ----------
    labels : (n, C) of 0 and 1
    counts : (C,) number of rows with each label

    Examples
    --------
    >>> matrix = torch.tensor([[1, 1], [1, 0], [0, 0]])
    >>> rarest_label_of(matrix, matrix.sum(dim=0)).tolist()
    [1, 0, 2]
    """
    rarity = torch.where(labels > 0, counts, torch.iinfo(torch.int64).max)
    return torch.where((labels > 0).any(dim=1), rarity.argmin(dim=1), labels.shape[1])


def rarest_labels_of_splits(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """The rarest label of each row of both splits, counted over the rows of both: (n_train,) and (n_test,) int64.

    Parameters
    ----------
    train, test : (n, C) of 0 and 1
    """
    counts = train.sum(dim=0, dtype=torch.int64) + test.sum(dim=0, dtype=torch.int64)
    return rarest_label_of(train, counts), rarest_label_of(test, counts)


def checked_label_matrix(array: NDArray[Any], name: str) -> Tensor:
    """(n, C) uint8 of a ready array of 0 and 1.

    Raises
    ------
    DataError
        For other values, or fewer than two labels.
    """
    if array.ndim != 2 or array.shape[1] < 2 or not bool(np.isin(array, (0, 1)).all()):
        raise DataError(
            f"{name} has the shape {array.shape}; send one label per row, or a matrix of 0 and 1 with a column for each of several labels."
        )
    return torch.from_numpy(array.astype(np.uint8))


def checked_label_matrices(train: NDArray[Any], test: NDArray[Any], names: Sequence[str]) -> tuple[Tensor, Tensor, list[str]]:
    """The label matrices of both splits, and warnings.

    Raises
    ------
    DataError
        For other values than 0 and 1, matrices of unequal width, and a label that no or every training row has.
    """
    matrices = checked_label_matrix(train, "y_train"), checked_label_matrix(test, "y_test")
    if matrices[0].shape[1] != matrices[1].shape[1]:
        raise DataError(f"y_train has {matrices[0].shape[1]} columns but y_test has {matrices[1].shape[1]}.")
    if len(names) != matrices[0].shape[1]:
        raise DataError(f"class_names in the file's metadata lists {len(names)} names, but there are {matrices[0].shape[1]} labels.")
    sets = [[_names(row, names) for row in matrix] for matrix in matrices]
    require_every_label(sets[0], names)
    return *matrices, untested_labels(sets[1], names)


def _names(row: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    numbers: list[int] = row.nonzero().flatten().tolist()
    return tuple(names[number] for number in numbers)
