"""Integrals of the ARR curve, their quadrature error, and intervals of replicates. Plain arrays, no network and no solver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def trapezoid(values: Array, at: Array) -> Array:
    """∫ values d(at) by the trapezoid rule along the last axis; `at` rises.

    Examples
    --------
    >>> float(trapezoid(np.array([1.0, 1.0, 0.0]), np.array([0.0, 0.5, 1.0])))
    0.75
    """
    return ((values[..., 1:] + values[..., :-1]) * np.diff(at)).sum(axis=-1) / 2


def trapezoid_weights(at: Array) -> Array:
    """Weights (K,) of `trapezoid`: ∫ values d(at) = values @ weights.

    Examples
    --------
    >>> trapezoid_weights(np.array([0.0, 0.5, 1.0])).tolist()
    [0.25, 0.5, 0.25]
    """
    weights = np.zeros(len(at))
    weights[:-1] += np.diff(at) / 2
    weights[1:] += np.diff(at) / 2
    return weights


def iis_weights(kept: Sequence[int], concept_count: int) -> Array:
    """Weights (K,) of IIS = ∫₀¹ ARR(s) ds (eq. 7) at s = 1 - k/M: ARR @ weights.

    k is whole, so ARR is a step function of s, and the trapezoid of its nodes lies (ARR(0) - ARR(1)) / 2M below its area: that is
    added. With a node at every k the sum is the mean of ARR over k = 1 to M.

    Parameters
    ----------
    kept : K numbers k, falling from M to 0

    Examples
    --------
    >>> iis_weights([4, 2, 0], 4).tolist()
    [0.375, 0.5, 0.125]
    """
    weights = trapezoid_weights(1 - np.asarray(kept, dtype=np.float64) / concept_count)
    weights[0] += 1 / (2 * concept_count)
    weights[-1] -= 1 / (2 * concept_count)
    return weights


def log_area_weights(kept: Sequence[int]) -> Array:
    """Weights (K,) of the mean ARR over log k, from k = M down to the smallest positive number: each octave has the same weight.

    Parameters
    ----------
    kept : K numbers k, falling; k = 0 has weight 0

    Examples
    --------
    >>> log_area_weights([4, 2, 1, 0]).tolist()
    [0.25, 0.5, 0.25, 0.0]
    """
    k = np.asarray(kept, dtype=np.float64)
    positive = k > 0
    at = -np.log(k[positive])
    weights = np.zeros(len(k))
    weights[positive] = trapezoid_weights(at) / (at[-1] - at[0]) if at[-1] > at[0] else 1.0
    return weights


def panel_errors(arr: Array, at: Array) -> Array:
    """Estimated trapezoid error of each panel, h³/12·|f''|, with f'' the larger divided difference of the two ends.

    Parameters
    ----------
    arr, at : (K,), K of 3 or more; `at` rises

    Returns
    -------
    (K - 1,)
    """
    width = np.diff(at)
    slope = np.diff(arr) / width
    bend = np.zeros(len(at))
    bend[1:-1] = np.abs(2 * np.diff(slope) / (at[2:] - at[:-2]))
    bend[0], bend[-1] = bend[1], bend[-2]
    return width**3 / 12 * np.maximum(bend[:-1], bend[1:])


def quadrature_error(arr: Array, kept: Sequence[int], concept_count: int) -> float:
    """Estimated error of the integral by `iis_weights`: the panels' errors, added in magnitude; 0 for fewer than three nodes.

    Parameters
    ----------
    arr : (K,) ARR at `kept`, which falls from M to 0
    """
    if len(kept) < 3:
        return 0.0
    return float(panel_errors(arr, 1 - np.asarray(kept, dtype=np.float64) / concept_count).sum())


def worst_panels(accuracy: Mapping[int, float], baseline: float, most: int, target: float) -> list[int]:
    """New numbers of kept concepts, at the middles of the panels with the largest quadrature error of ARR.

    Parameters
    ----------
    accuracy : mean accuracy by the number of kept concepts, M and 0 among them
    baseline : accuracy of h
    most : how many new nodes at most
    target : sum of the panels' errors at which none is added
    """
    kept = sorted(accuracy, reverse=True)
    at = 1 - np.asarray(kept, dtype=np.float64) / kept[0]
    if len(kept) < 3:
        return []
    errors = panel_errors(np.asarray([accuracy[k] for k in kept]) / max(baseline, 1e-9), at)
    if errors.sum() <= target:
        return []
    order = [i for i in np.argsort(-errors, kind="stable").tolist() if kept[i] - kept[i + 1] > 1]
    return [(kept[i] + kept[i + 1]) // 2 for i in order[:most]]


def interval(replicates: Array, confidence: float) -> tuple[Array, Array]:
    """Central percentile interval along the first axis."""
    tail = (1 - confidence) / 2
    return np.quantile(replicates, tail, axis=0), np.quantile(replicates, 1 - tail, axis=0)


def mean_interval(values: Array, confidence: float) -> tuple[float, float, float]:
    """Mean of (n,) values, n of 2 or more, and its Student interval with n - 1 degrees of freedom: mean, low, high.

    Examples
    --------
    >>> [round(end, 3) for end in mean_interval(np.array([1.0, 3.0]), 0.5)]
    [2.0, 1.0, 3.0]
    """
    from scipy.stats import t as student_t  # measuring a curve does without scipy

    mean = float(values.mean())
    half = float(student_t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half
