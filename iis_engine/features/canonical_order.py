"""An order of samples that depends on their content alone, and the validation split drawn from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from iis_engine.features.feature_set import FeatureSet


def canonical_order(X: Tensor) -> Tensor:
    """Row order (n,) that sorts X (n, d) lexicographically by value.

    Shuffled rows come back in one order, and so do rows scaled by a positive factor.
    """
    values = np.ascontiguousarray(X.float().cpu().numpy()) + np.float32(0)  # -0.0 becomes 0.0
    bits = values.view(np.uint32)
    # IEEE floats compare like integers once negative ones are flipped whole and positive ones gain the top bit.
    keys = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)).astype(">u4")
    rows = np.ascontiguousarray(keys).view(np.dtype((np.void, 4 * X.shape[1]))).ravel()
    return torch.from_numpy(np.argsort(rows, kind="stable"))


def in_canonical_order(features: FeatureSet) -> FeatureSet:
    """The same features with the rows of both splits in canonical order; elements stay as they are."""
    train = canonical_order(torch.cat([features.y_train.unsqueeze(1).float(), features.X_train], dim=1))
    test = canonical_order(torch.cat([features.y_test.unsqueeze(1).float(), features.X_test], dim=1))
    return replace(
        features,
        X_train=features.X_train[train],
        y_train=features.y_train[train],
        X_test=features.X_test[test],
        y_test=features.y_test[test],
        train_rows=None if features.train_rows is None else features.train_rows[train],
        test_rows=None if features.test_rows is None else features.test_rows[test],
    )


def validation_rows(y: Tensor, share: float, seed: int) -> Tensor:
    """A stratified validation mask (n,) bool over rows in canonical order.

    Each class gives `share` of its rows, at least one where it has two or more.
    """
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(len(y), dtype=torch.bool)
    for label in torch.unique(y).tolist():
        rows = (y == label).nonzero().flatten()
        count = min(max(1, round(share * len(rows))), len(rows) - 1)
        mask[rows[torch.randperm(len(rows), generator=generator)[:count]]] = True
    return mask
