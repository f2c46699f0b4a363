"""Sort samples by content, so that the input order has no effect, and draw stratified splits of the training rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iis_engine.features.feature_set import FeatureSet

LEADING_COLUMNS = 64  # of the sort keys of all rows


def canonical_order(X: Tensor) -> Tensor:
    """Return the row order (n,) int64 that sorts X (n, d) lexicographically by value.

    It is invariant to shuffling the rows and to scaling X by a positive factor.
    """
    values = X.float().cpu().numpy()
    leading = _sort_keys(values[:, :LEADING_COLUMNS])
    order = np.argsort(_as_single_values(leading), kind="stable")
    if X.shape[1] > LEADING_COLUMNS:  # only rows that are equal there are compared whole: the keys of all would be three copies of X
        ordered = leading[order]
        equal = (ordered[1:] == ordered[:-1]).all(axis=1)
        places = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
        tied = order[places]
        order[places] = tied[np.argsort(_as_single_values(_sort_keys(values[tied])), kind="stable")]
    return torch.from_numpy(order)


def _sort_keys(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Unsigned integers (n, d), big-endian, that compare as the floats do, by number and by bytes."""
    bits = (np.ascontiguousarray(values) + np.float32(0)).view(np.uint32)  # -0.0 becomes 0.0
    # IEEE floats compare like unsigned integers after inverting all bits of negative ones and setting the top bit of the others.
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)).astype(">u4")


def _as_single_values(keys: NDArray[np.uint32]) -> NDArray[np.void]:
    """Each row (n, d) as one value of 4·d bytes."""
    return np.ascontiguousarray(keys).view(np.dtype((np.void, 4 * keys.shape[1]))).ravel()


def in_canonical_order(features: FeatureSet) -> FeatureSet:
    """Return the features with the rows of both splits in canonical order; the order of elements is unchanged."""
    train = canonical_training_rows(features)
    test = _row_order(features.y_test, features.labels_test, features.X_test)
    return replace(
        features,
        X_train=features.X_train[train],
        y_train=features.y_train[train],
        X_test=features.X_test[test],
        y_test=features.y_test[test],
        train_rows=None if features.train_rows is None else features.train_rows[train],
        test_rows=None if features.test_rows is None else features.test_rows[test],
        labels_train=None if features.labels_train is None else features.labels_train[train],
        labels_test=None if features.labels_test is None else features.labels_test[test],
    )


def canonical_training_rows(features: FeatureSet) -> Tensor:
    """Return the canonical order (n,) int64 of the training rows."""
    return _row_order(features.y_train, features.labels_train, features.X_train)


def _row_order(y: Tensor, labels: Tensor | None, X: Tensor) -> Tensor:
    """Rows by label, by the labels of multi-label data, and by value."""
    return canonical_order(torch.cat([y.unsqueeze(1).float(), *(() if labels is None else (labels.float(),)), X], dim=1))


def validation_rows(y: Tensor, share: float, seed: int) -> Tensor:
    """Draw a stratified validation split (METHOD §3) -> mask (n,) bool.

    Parameters
    ----------
    y : labels (n,) of rows in canonical order
    share : share of each class, at least one row of a class of two or more
    seed : seed of the draw
    """
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(len(y), dtype=torch.bool)
    for label in torch.unique(y).tolist():
        rows = (y == label).nonzero().flatten()
        count = min(max(1, round(share * len(rows))), len(rows) - 1)
        mask[rows[torch.randperm(len(rows), generator=generator)[:count]]] = True
    return mask


def held_out_halves(y: Tensor, excluded: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Draw two disjoint stratified sets of rows outside of `excluded` -> two masks (n,) bool whose sizes differ by at most one.

    Rows are drawn systematically along the classes, so that classes of one or two rows do not inflate the sets: each class has
    its share of each set, rounded up or down.

    Parameters
    ----------
    y : labels (n,) of rows in canonical order
    excluded : (n,) bool, rows that are not drawn, such as those of `validation_rows`
    share : of all n rows, both sets together
    seed : seed of the draw
    """
    generator = torch.Generator().manual_seed(seed)
    free = (~excluded).nonzero().flatten()
    shuffled = free[torch.randperm(len(free), generator=generator)]
    by_class = shuffled[torch.sort(y[shuffled], stable=True).indices]
    count = min(round(share * len(y)), len(free))
    offset = torch.rand(1, generator=generator, dtype=torch.float64)
    drawn = by_class[((torch.arange(count) + offset) * len(free) / max(count, 1)).long()]
    first, second = torch.zeros_like(excluded), torch.zeros_like(excluded)
    first[drawn[0::2]], second[drawn[1::2]] = True, True
    return first, second
