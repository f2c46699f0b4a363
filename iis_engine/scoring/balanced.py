"""Balanced accuracy: mean per-class recall in place of plain accuracy, for classes of unequal size."""

from __future__ import annotations

import torch
from torch import Tensor


def balanced_weights(y: Tensor) -> Tensor:
    """Weights w of the images with Σ w·correct = mean per-class recall: w_i = 1 / (number of classes · size of the class of i).

    Parameters
    ----------
    y : (n,) int64 labels; a class without an image has no weight

    Returns
    -------
    (n,) float64, summing to 1

    References
    ----------
    Brodersen et al., "The Balanced Accuracy and Its Posterior Distribution", ICPR 2010.

    Examples
    --------
    >>> balanced_weights(torch.tensor([0, 0, 0, 1]))
    tensor([0.1667, 0.1667, 0.1667, 0.5000], dtype=torch.float64)
    """
    sizes = torch.bincount(y)
    return 1 / (sizes[y].double() * int((sizes > 0).sum()))


def balanced_accuracy(correct: Tensor, y: Tensor) -> Tensor:
    """Mean per-class recall (...) float64 of correctness (..., n) in [0, 1], with the labels y (n,) in the same order."""
    return correct.double() @ balanced_weights(y).to(correct.device)
