"""Deterministic samples of images in canonical order, which bound the cost of a metric."""

from __future__ import annotations

import torch
from torch import Tensor


def evenly_spaced(count: int, limit: int) -> Tensor:
    """At most `limit` row numbers, evenly spaced over 0..count-1: (m,) int64.

    Rows in canonical order are sorted by label, so that the sample is stratified.
    """
    size = min(count, limit)
    return torch.div(torch.arange(size) * 2 * count + count, 2 * size, rounding_mode="floor") if size else torch.arange(0)


def stratified(y: Tensor, limit: int) -> Tensor:
    """About `limit` row numbers, the same share of each class and at least one row, evenly spaced within it: (m,) int64, rising.

    Parameters
    ----------
    y : (n,) int64 labels of rows in canonical order
    """
    if len(y) <= limit:
        return torch.arange(len(y))
    parts: list[Tensor] = []
    for label in torch.unique(y).tolist():
        rows = (y == label).nonzero().flatten()
        parts.append(rows[evenly_spaced(len(rows), max(1, round(len(rows) * limit / len(y))))])
    return torch.cat(parts).sort().values
