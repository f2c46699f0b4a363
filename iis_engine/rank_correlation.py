"""Rank correlations of a few paired values: Spearman, Kendall and partial, with intervals. What is correlated is decided in comparison_*.

Every statistic that cannot be computed is None, with the sentence why; none is ever NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from iis_engine.curve import interval
from iis_engine.protocols import CONFIDENCE

Array = NDArray[np.float64]

LEAST_PAIRS = 4
REPLICATES = 2000
PERMUTATIONS = 9999
EXACT_UP_TO = 7  # pairs, whose 5,040 orders are all tried
SEED = 0
_CERTAIN = 1 - 1e-12  # a correlation beyond it is 1 with rounding
_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Estimate:
    """A correlation.

    Attributes
    ----------
    n : pairs
    value : the correlation, from -1 to 1; None where it is undefined
    low, high : 95 % percentile interval over resamples of the pairs
    noise_low, noise_high : 95 % of where it would lie if each value moved within its own interval, the pairs staying; of rho only
    p : how often an order drawn at random would show at least as strong a correlation, in either direction
    reason : why one of the above is None
    """

    n: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    noise_low: float | None = None
    noise_high: float | None = None
    p: float | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values."""
        return asdict(self)


@dataclass(frozen=True)
class Pairs:
    """Paired values.

    Attributes
    ----------
    x, y : (n,) finite
    names : what x and y are, for sentences
    x_deviation, y_deviation : (n,) standard deviation of what was measured; None: known exactly
    """

    x: Array
    y: Array
    names: tuple[str, str]
    x_deviation: Array | None = None
    y_deviation: Array | None = None


def spearman(pairs: Pairs) -> Estimate:
    """Spearman's rho: Pearson's correlation of mid-ranks (Spearman 1904).

    The interval resamples the pairs (`REPLICATES` times, seeded), p permutes one side: all orders of up to seven pairs, 9,999 of more.
    """
    if reason := _undefined(pairs):
        return Estimate(len(pairs.x), reason=reason)
    ranks = rankdata(pairs.x), rankdata(pairs.y)
    value = float(_pearson(*ranks))
    counts = _resampled_counts(len(pairs.x))
    star = _pearson(counts @ _signs(pairs.x), counts @ _signs(pairs.y), counts)
    moved = _moved(pairs)
    noise = None if moved is None else _pearson(rankdata(moved[0], axis=1), rankdata(moved[1], axis=1))
    return _estimate(len(pairs.x), value, star, noise, _permutation_p(*ranks, value))


def kendall(pairs: Pairs) -> Estimate:
    """Kendall's tau-b, which allows for ties (Kendall 1945); interval as for `spearman`, p of scipy's test, and nothing about noise."""
    if reason := _undefined(pairs):
        return Estimate(len(pairs.x), reason=reason)
    value, p = cast("tuple[float, float]", kendalltau(pairs.x, pairs.y))
    return _estimate(len(pairs.x), float(value), _resampled_tau(pairs), None, float(p))


def partial_spearman(pairs: Pairs, given: Array, given_name: str) -> Estimate:
    """Spearman's rho of x and y with what both share with z taken out: (r_xy - r_xz r_yz) / √((1 - r_xz²)(1 - r_yz²)).

    Parameters
    ----------
    given : (n,), z; as a rank correlation the same for any rising function of it

    Notes
    -----
    Undefined where x or y orders the pairs as z does, for then nothing of it is left; the sentence says which. The interval resamples
    pairs; resamples where it is undefined are left out.
    """
    n = len(pairs.x)
    if reason := _undefined(pairs):
        return Estimate(n, reason=reason)
    if _constant(given):
        return Estimate(n, reason=f"{given_name} is the same for all {n}, so there is nothing to take out.")
    ranks = [rankdata(values) for values in (pairs.x, pairs.y, given)]
    for name, own in zip(pairs.names, ranks, strict=False):
        if abs(_pearson(own, ranks[2])) > _CERTAIN:
            return Estimate(n, reason=f"{name} orders the {n} exactly as {given_name} does, so nothing of it is left once that is given.")
    counts = _resampled_counts(n)
    signs = [counts @ _signs(values) for values in (pairs.x, pairs.y, given)]
    return _estimate(n, float(_partial(ranks[0], ranks[1], ranks[2])), _partial(signs[0], signs[1], signs[2], counts), None, None)


def _partial(x: Array, y: Array, z: Array, counts: Array | None = None) -> Array:
    xy, xz, yz = _pearson(x, y, counts), _pearson(x, z, counts), _pearson(y, z, counts)
    left = (1 - xz**2) * (1 - yz**2)
    certain = (np.abs(xz) > _CERTAIN) | (np.abs(yz) > _CERTAIN)
    return np.where(certain, np.nan, np.clip((xy - xz * yz) / np.sqrt(np.where(certain, 1.0, left)), -1, 1))


def _undefined(pairs: Pairs) -> str | None:
    n = len(pairs.x)
    if n < LEAST_PAIRS:
        return f"{n} of them can be compared; a correlation needs at least {LEAST_PAIRS}."
    for name, values in zip(pairs.names, (pairs.x, pairs.y), strict=True):
        if _constant(values):
            return f"{name} is the same for all {n}, so there is no order to compare."
    return None


def _constant(values: Array) -> bool:
    return bool((values == values[0]).all())


def _estimate(n: int, value: float, star: Array, noise: Array | None, p: float | None) -> Estimate:
    low, high = _interval(star)
    noise_low, noise_high = (None, None) if noise is None else _interval(noise)
    reason = None if low is not None else f"Most resamples of the {n} have no order to compare, so there is no interval."
    return Estimate(n, min(1.0, max(-1.0, value)), low, high, noise_low, noise_high, p, reason)


def _interval(star: Array) -> tuple[float | None, float | None]:
    defined = star[np.isfinite(star)]
    if 2 * len(defined) < len(star):
        return None, None
    low, high = interval(np.clip(defined, -1, 1), CONFIDENCE)
    return float(low), float(high)


def _pearson(x: Array, y: Array, counts: Array | None = None) -> Array:
    """Correlations along the last axis, each pair as often as `counts` says; not a number where one side is constant."""
    weights = np.ones_like(x) if counts is None else counts
    total = weights.sum(axis=-1, keepdims=True)
    x = x - (weights * x).sum(axis=-1, keepdims=True) / total
    y = y - (weights * y).sum(axis=-1, keepdims=True) / total
    squares = (weights * x**2).sum(axis=-1) * (weights * y**2).sum(axis=-1)
    return np.where(squares > 0, (weights * x * y).sum(axis=-1) / np.sqrt(np.where(squares > 0, squares, 1.0)), np.nan)


def _signs(values: Array) -> Array:
    """(n, n) whose entry (j, i) is the sign of x_i - x_j. Times how often each j was drawn, it is twice i's mid-rank but for a constant."""
    return np.sign(values[None, :] - values[:, None])


def _resampled_counts(n: int) -> Array:
    """(REPLICATES, n): how often each pair is drawn; the same draws for every statistic of n pairs."""
    return np.random.default_rng(SEED).multinomial(n, np.full(n, 1 / n), size=REPLICATES).astype(np.float64)


def _resampled_tau(pairs: Pairs) -> Array:
    """tau-b of every resample: with w as often as each pair was drawn, wᵀSw over the square root of wᵀ|S_x|w · wᵀ|S_y|w."""
    counts = _resampled_counts(len(pairs.x))
    x, y = _signs(pairs.x), _signs(pairs.y)
    agreeing, of_x, of_y = (np.einsum("ri,ri->r", counts @ signs, counts) for signs in (x * y, np.abs(x), np.abs(y)))
    return _ratio(agreeing, of_x * of_y)


def _ratio(agreeing: Array, squares: Array) -> Array:
    return np.where(squares > 0, agreeing / np.sqrt(np.where(squares > 0, squares, 1.0)), np.nan)


def _moved(pairs: Pairs) -> tuple[Array, Array] | None:
    """(REPLICATES, n) each: the values moved by normal errors of their own deviations; None where none is known."""
    if pairs.x_deviation is None and pairs.y_deviation is None:
        return None
    generator = np.random.default_rng(SEED + 1)

    def move(values: Array, deviation: Array | None) -> Array:
        noise = generator.standard_normal((REPLICATES, len(values)))
        return values + (0.0 if deviation is None else deviation) * noise

    return move(pairs.x, pairs.x_deviation), move(pairs.y, pairs.y_deviation)


def _permutation_p(x_ranks: Array, y_ranks: Array, value: float) -> float:
    """The share of orders of one side with at least as strong a correlation: of all, or of `PERMUTATIONS` and the one there is."""

    def count_as_strong(orders: Array) -> int:
        return int((np.abs(_pearson(np.broadcast_to(x_ranks, orders.shape), orders)) >= abs(value) - 1e-9).sum())

    n = len(x_ranks)
    if n <= EXACT_UP_TO:
        orders = np.asarray(list(permutations(y_ranks)))
        return count_as_strong(orders) / len(orders)
    generator = np.random.default_rng(SEED + 2)
    found, left = 0, PERMUTATIONS
    while left:
        rows = min(left, max(1, _CELLS_AT_ONCE // n))
        found += count_as_strong(generator.permuted(np.tile(y_ranks, (rows, 1)), axis=1))
        left -= rows
    return (found + 1) / (PERMUTATIONS + 1)


def as_values(values: Sequence[float]) -> Array:
    """Plain numbers as (n,) float64."""
    return np.asarray(values, dtype=np.float64)
