"""Balanced accuracy and balanced ARR: mean per-class recall in place of plain accuracy, for classes of unequal size."""

from __future__ import annotations

from collections.abc import Sequence

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


def balanced_arr(correct: Tensor, baseline_correct: Tensor, y: Tensor) -> Tensor:
    """ARR (eq. 6) with balanced accuracies: (..., n) and (n,) -> (...) float64.

    The balanced IIS is the integral of these values, with 1 / C over the balanced accuracy of h at s = 1.

    Raises
    ------
    ZeroDivisionError
        When the representation classifies no image.
    """
    baseline = float(balanced_accuracy(baseline_correct, y))
    if baseline == 0:
        raise ZeroDivisionError("The balanced accuracy of the representation is 0, so ARR is not defined.")
    return balanced_accuracy(correct, y) / baseline


def balanced_few_concepts(kept: Sequence[int], correct: Tensor, y: Tensor, few: Sequence[int]) -> dict[int, float]:
    """Balanced accuracy at few kept concepts, mean over the library seeds.

    Parameters
    ----------
    kept : K numbers of kept concepts at the nodes
    correct : (S, K, n)
    few : numbers of kept concepts; those without a node are left out
    """
    accuracy = balanced_accuracy(correct, y).mean(dim=0)
    return {k: float(accuracy[kept.index(k)]) for k in few if k in kept}
