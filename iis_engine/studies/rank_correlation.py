"""Rank correlations of a few paired values: Spearman, Kendall and partial, with intervals. What is correlated is decided in comparison_*.

Every statistic that cannot be computed is None, with the sentence why; none is ever NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from iis_engine.protocols import CONFIDENCE
from iis_engine.scoring.curve import interval

Array = NDArray[np.float64]

LEAST_PAIRS = 4
REPLICATES = 2000
PERMUTATIONS = 9999
EXACT_UP_TO = 7  # pairs, whose 5,040 orders are all tried
TAU_RESAMPLED_UP_TO = 1000  # pairs; the work rises with their square, and takes a minute of ten thousand where rho's takes seconds
SEED = 0
_CERTAIN = 1 - 1e-12  # a correlation beyond it is 1 with rounding
_CELLS_AT_ONCE = 4_000_000  # of any array, so that thousands of pairs are correlated in bounded memory


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

    @staticmethod
    def of(values: Sequence[tuple[float, float]], names: tuple[str, str]) -> Pairs:
        """Pairs of plain numbers, known exactly."""
        return Pairs(as_values([x for x, _ in values]), as_values([y for _, y in values]), names)


def spearman(pairs: Pairs) -> Estimate:
    """Spearman's rho: Pearson's correlation of mid-ranks (Spearman 1904).

    The interval resamples the pairs (`REPLICATES` times, seeded), p permutes one side: all orders of up to seven pairs, 9,999 of more.
    """
    if reason := _undefined(pairs):
        return Estimate(len(pairs.x), reason=reason)
    ranks = _ranks(pairs.x), _ranks(pairs.y)
    value = float(_pearson(*ranks))
    x, y = _Side.of(pairs.x), _Side.of(pairs.y)
    star = np.concatenate([_pearson(x.ranks(counts), y.ranks(counts), counts) for counts in _resamples(len(pairs.x))])
    return _estimate(len(pairs.x), value, star, _moved(pairs), _permutation_p(*ranks, value))


def spearman_value(pairs: Pairs) -> Estimate:
    """Spearman's rho alone, without what takes resampling: for one that is told many times over."""
    if reason := _undefined(pairs):
        return Estimate(len(pairs.x), reason=reason)
    value = float(_pearson(_ranks(pairs.x), _ranks(pairs.y)))
    return Estimate(len(pairs.x), value, reason="Only the value is worked out here, without interval and p.")


def kendall(pairs: Pairs) -> Estimate:
    """Kendall's tau-b, which allows for ties (Kendall 1945).

    The interval is as for `spearman`, of up to `TAU_RESAMPLED_UP_TO` pairs; p is of scipy's test, and there is nothing about noise.
    """
    n = len(pairs.x)
    if reason := _undefined(pairs):
        return Estimate(n, reason=reason)
    value, p = (float(found) for found in cast("tuple[float, float]", kendalltau(pairs.x, pairs.y)))
    if n > TAU_RESAMPLED_UP_TO:
        reason = f"Of more than {TAU_RESAMPLED_UP_TO:,} pairs tau is not resampled; the interval of rho says how sure their order is."
        return Estimate(n, value, p=p, reason=reason)
    return _estimate(n, value, _resampled_tau(pairs), None, p)


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
    ranks = [_ranks(values) for values in (pairs.x, pairs.y, given)]
    for name, own in zip(pairs.names, ranks, strict=False):
        if abs(_pearson(own, ranks[2])) > _CERTAIN:
            return Estimate(n, reason=f"{name} orders the {n} exactly as {given_name} does, so nothing of it is left once that is given.")
    x, y, z = (_Side.of(values) for values in (pairs.x, pairs.y, given))
    star = np.concatenate([_partial(x.ranks(counts), y.ranks(counts), z.ranks(counts), counts) for counts in _resamples(n)])
    return _estimate(n, float(_partial(ranks[0], ranks[1], ranks[2])), star, None, None)


def same_order(pairs: Pairs) -> dict[str, Any]:
    """Whether both sides order what they measure alike, as answers say it."""
    return {"n": len(pairs.x), "spearman": spearman(pairs).to_dict(), "kendall": kendall(pairs).to_dict()}


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


def _ranks(values: Array) -> Array:
    """Mid-ranks along the last axis, about their mean."""
    return rankdata(values, axis=-1) - (values.shape[-1] + 1) / 2


def _pearson(x: Array, y: Array, counts: Array | None = None) -> Array:
    """Correlations of ranks about their mean, each pair as often as `counts` says; not a number where one side is constant."""
    of_x, of_y = (x, y) if counts is None else (counts * x, counts * y)
    product, squares_x, squares_y = (np.einsum("...i,...i->...", a, b) for a, b in ((of_x, y), (of_x, x), (of_y, y)))
    return _ratio(product, squares_x * squares_y)


def _ratio(product: Array, squares: Array) -> Array:
    return np.where(squares > 0, product / np.sqrt(np.where(squares > 0, squares, 1.0)), np.nan)


@dataclass(frozen=True)
class _Side:
    """The values of one side by rising order, to be ranked in many resamples: `order` (n,) sorts them, a different value begins at each
    of `starts` (g,), and `place` (n,) is each value's among the different ones."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    place: NDArray[np.intp]

    @staticmethod
    def of(values: Array) -> _Side:
        _, place, sizes = np.unique(values, return_inverse=True, return_counts=True)
        return _Side(np.argsort(values), np.cumsum(sizes) - sizes, place)

    def drawn(self, counts: Array) -> Array:
        """(r, g): how often each different value is drawn, where `counts` (r, n) says it of each pair."""
        return np.add.reduceat(counts[:, self.order], self.starts, axis=1)

    def ranks(self, counts: Array) -> Array:
        """(r, n): twice the mid-rank of each value in each resample, about their mean."""
        drawn = self.drawn(counts)
        return (2 * drawn.cumsum(axis=1) - drawn - len(self.order))[:, self.place]


def _resamples(n: int) -> Iterator[Array]:
    """Blocks (r, n) of how often each pair is drawn, `REPLICATES` rows in all; the same draws for every statistic of n pairs."""
    generator = np.random.default_rng(SEED)
    for rows in _blocks(REPLICATES, n):
        yield generator.multinomial(n, np.full(n, 1 / n), size=rows).astype(np.float64)


def _blocks(rows: int, n: int) -> Iterator[int]:
    """So many rows of n at a time."""
    most = max(1, _CELLS_AT_ONCE // n)
    for start in range(0, rows, most):
        yield min(most, rows - start)


def _resampled_tau(pairs: Pairs) -> Array:
    """tau-b of every resample: the agreeing pairs less the others, over the root of those that x tells apart times those that y does."""
    n = len(pairs.x)
    signs = np.sign(pairs.x - pairs.x[:, None]) * np.sign(pairs.y - pairs.y[:, None])
    x, y = _Side.of(pairs.x), _Side.of(pairs.y)

    def tau(counts: Array) -> Array:
        apart_x, apart_y = (n**2 - (side.drawn(counts) ** 2).sum(axis=1) for side in (x, y))
        return _ratio(np.einsum("ri,ri->r", counts @ signs, counts), apart_x * apart_y)

    return np.concatenate([tau(counts) for counts in _resamples(n)])


def _moved(pairs: Pairs) -> Array | None:
    """(REPLICATES,): rho of values moved by normal errors of their own deviations; None where none is known."""
    if pairs.x_deviation is None and pairs.y_deviation is None:
        return None
    generator = np.random.default_rng(SEED + 1)

    def moved_ranks(values: Array, deviation: Array | None, rows: int) -> Array:
        noise = generator.standard_normal((rows, len(values)))
        return _ranks(values + (0.0 if deviation is None else deviation) * noise)

    sides = (pairs.x, pairs.x_deviation), (pairs.y, pairs.y_deviation)
    return np.concatenate([_pearson(*(moved_ranks(*side, rows) for side in sides)) for rows in _blocks(REPLICATES, len(pairs.x))])


def _permutation_p(x_ranks: Array, y_ranks: Array, value: float) -> float:
    """The share of orders of one side with at least as strong a correlation: of all, or of `PERMUTATIONS` and the one there is."""
    n = len(x_ranks)
    as_strong = (abs(value) - 1e-9) * np.sqrt((x_ranks**2).sum() * (y_ranks**2).sum())

    def count_as_strong(orders: Array) -> int:
        return int((np.abs(orders @ x_ranks) >= as_strong).sum())

    if n <= EXACT_UP_TO:
        orders = np.asarray(list(permutations(y_ranks)))
        return count_as_strong(orders) / len(orders)
    generator = np.random.default_rng(SEED + 2)
    found = sum(count_as_strong(generator.permuted(np.tile(y_ranks, (rows, 1)), axis=1)) for rows in _blocks(PERMUTATIONS, n))
    return (found + 1) / (PERMUTATIONS + 1)


def as_values(values: Sequence[float]) -> Array:
    """Plain numbers as (n,) float64."""
    return np.asarray(values, dtype=np.float64)
