"""Rank correlations of paired values: Spearman, Kendall and partial, with bootstrap intervals and permutation p.

A statistic that cannot be computed is None, with a sentence that says why; none is ever NaN.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import DegenerateDataWarning, bootstrap, kendalltau, permutation_test, rankdata

from iis_engine.protocols import CONFIDENCE
from iis_engine.scoring.curve import interval
from iis_engine.studies.measurement_noise import redrawn

Array = NDArray[np.float64]

LEAST_PAIRS = 4
REPLICATES = 2000
PERMUTATIONS = 9999  # of more pairs than 7, whose 5,040 orders are all tried
TAU_RESAMPLED_UP_TO = 1000  # pairs; the cost of tau rises with their square, that of rho hardly faster than with their number
SEED = 0
_CERTAIN = 1 - 1e-12  # a correlation beyond it is 1 but for rounding
_ARRAYS_OF_A_DRAW = 8  # that `redrawn` holds at once
_ENTRIES_AT_ONCE = 4_000_000  # of any array, so that thousands of pairs are correlated in bounded memory


@dataclass(frozen=True)
class Estimate:
    """A correlation.

    Attributes
    ----------
    n : pairs
    value : the correlation, from -1 to 1; None where it is undefined
    low, high : 95 % percentile interval over resamples of the pairs
    noise_low, noise_high : 95 % interval of what another measurement of the same pairs would give; of rho only
    p : probability that a random order has at least as strong a correlation, of either sign
    p_holm : p adjusted over all sentences of a study; None for a correlation that no sentence states
    reason : why one of the above is None
    """

    n: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    noise_low: float | None = None
    noise_high: float | None = None
    p: float | None = None
    p_holm: float | None = None
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
    names : of x and y, for sentences
    x_deviation, y_deviation : (n,) standard deviation of the measurement error; None for exact values
    """

    x: Array
    y: Array
    names: tuple[str, str]
    x_deviation: Array | None = None
    y_deviation: Array | None = None

    @staticmethod
    def of(values: Sequence[tuple[float, float]], names: tuple[str, str]) -> Pairs:
        """Pairs of exact values."""
        return Pairs(as_values([x for x, _ in values]), as_values([y for _, y in values]), names)


def spearman(pairs: Pairs) -> Estimate:
    """Spearman's rho: Pearson's correlation of mid-ranks (Spearman 1904).

    The interval is a percentile bootstrap over pairs (`scipy.stats.bootstrap`); p is by permutation of one side
    (`scipy.stats.permutation_test`): all orders of up to seven pairs, 9,999 random ones of more.
    """
    if reason := _undefined(pairs):
        return Estimate(len(pairs.x), reason=reason)
    value, star = float(_rho(pairs.x, pairs.y)), _resampled(_rho, pairs.x, pairs.y)
    return _estimate(len(pairs.x), value, star, _within_noise(pairs), _permutation_p(pairs.x, pairs.y))


def spearman_value(pairs: Pairs) -> Estimate:
    """Spearman's rho without interval and p, which take resampling."""
    if reason := _undefined(pairs):
        return Estimate(len(pairs.x), reason=reason)
    return Estimate(len(pairs.x), float(_rho(pairs.x, pairs.y)), reason="Only the value is computed here, without interval and p.")


def kendall(pairs: Pairs) -> Estimate:
    """Kendall's tau-b, which allows for ties (Kendall 1945).

    The interval is as for `spearman`, up to `TAU_RESAMPLED_UP_TO` pairs; p is that of `scipy.stats.kendalltau`. There is no noise
    interval.
    """
    n = len(pairs.x)
    if reason := _undefined(pairs):
        return Estimate(n, reason=reason)
    value, p = (float(found) for found in cast("tuple[float, float]", kendalltau(pairs.x, pairs.y)))
    if n > TAU_RESAMPLED_UP_TO:
        reason = f"With more than {TAU_RESAMPLED_UP_TO:,} pairs tau has no interval; see the interval of rho."
        return Estimate(n, value, p=p, reason=reason)
    return _estimate(n, value, _resampled_tau(pairs), None, p)


def partial_spearman(pairs: Pairs, given: Array, given_name: str) -> Estimate:
    """Partial Spearman correlation of x and y given z: (r_xy - r_xz r_yz) / √((1 - r_xz²)(1 - r_yz²)).

    Parameters
    ----------
    given : (n,), z

    Notes
    -----
    Undefined where x or y orders the pairs as z does; the reason says which. The interval is a percentile bootstrap over pairs
    without the resamples where it is undefined.
    """
    n = len(pairs.x)
    if reason := _undefined(pairs):
        return Estimate(n, reason=reason)
    if _constant(given):
        return Estimate(n, reason=f"{given_name} is the same for all {n}, so there is nothing to partial out.")
    for name, values in zip(pairs.names, (pairs.x, pairs.y), strict=True):
        if abs(_rho(values, given)) > _CERTAIN:
            return Estimate(n, reason=f"{name} orders the {n} exactly as {given_name} does, so no variation of it is left given that.")
    return _estimate(n, float(_partial(pairs.x, pairs.y, given)), _resampled(_partial, pairs.x, pairs.y, given), None, None)


def same_order(pairs: Pairs) -> dict[str, Any]:
    """How alike both sides order the pairs: Spearman and Kendall, JSON-ready."""
    return {"n": len(pairs.x), "spearman": spearman(pairs).to_dict(), "kendall": kendall(pairs).to_dict()}


def _rho(x: Array, y: Array, axis: int = -1) -> Array:
    """Spearman's rho along the last axis; NaN where one side is constant."""
    return _pearson(_ranks(x), _ranks(y))


def _partial(x: Array, y: Array, z: Array, axis: int = -1) -> Array:
    """Partial correlation along the last axis; NaN where x or y orders the pairs as z does."""
    of_x, of_y, of_z = (_ranks(values) for values in (x, y, z))
    xy, xz, yz = _pearson(of_x, of_y), _pearson(of_x, of_z), _pearson(of_y, of_z)
    left = (1 - xz**2) * (1 - yz**2)
    certain = (np.abs(xz) > _CERTAIN) | (np.abs(yz) > _CERTAIN)
    return np.where(certain, np.nan, np.clip((xy - xz * yz) / np.sqrt(np.where(certain, 1.0, left)), -1, 1))


def _undefined(pairs: Pairs) -> str | None:
    n = len(pairs.x)
    if n < LEAST_PAIRS:
        return f"Only {n} can be compared; a correlation needs at least {LEAST_PAIRS}."
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
    return Estimate(n, min(1.0, max(-1.0, value)), low, high, noise_low, noise_high, p, reason=reason)


def _interval(star: Array) -> tuple[float | None, float | None]:
    defined = star[np.isfinite(star)]
    if 2 * len(defined) < len(star):
        return None, None
    low, high = interval(np.clip(defined, -1, 1), CONFIDENCE)
    return float(low), float(high)


def _ranks(values: Array) -> Array:
    """Mid-ranks along the last axis, less their mean."""
    return rankdata(values, axis=-1) - (values.shape[-1] + 1) / 2


def _pearson(x: Array, y: Array) -> Array:
    """Correlations of centred ranks along the last axis; NaN where one side is constant."""
    product, squares_x, squares_y = (np.einsum("...i,...i->...", a, b) for a, b in ((x, y), (x, x), (y, y)))
    return _ratio(product, squares_x * squares_y)


def _ratio(product: Array, squares: Array) -> Array:
    return np.where(squares > 0, product / np.sqrt(np.where(squares > 0, squares, 1.0)), np.nan)


def _resampled(statistic: Callable[..., Array], *samples: Array | NDArray[np.intp]) -> Array:
    """(REPLICATES,): a vectorised statistic on resampled pairs; the same draws for every statistic of as many pairs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # a resample may have one value alone; `_interval` decides on these
        found = bootstrap(
            samples,
            statistic,
            n_resamples=REPLICATES,
            batch=_rows_at_once(len(samples[0])),
            vectorized=True,
            paired=True,
            axis=-1,
            method="percentile",
            rng=SEED,
        )
    return found.bootstrap_distribution


def _resampled_tau(pairs: Pairs) -> Array:
    """tau-b of every resample, from how often each pair is drawn: concordant less discordant pairs, over the root of the pairs that x
    separates times those that y separates. scipy's `kendalltau` takes one resample at a time, which is hundreds of times slower.
    """
    n = len(pairs.x)
    of_x, of_y = (np.sign(values - values[:, None]) for values in (pairs.x, pairs.y))

    def tau(drawn: NDArray[np.intp], axis: int) -> Array:
        counts = np.apply_along_axis(np.bincount, axis, np.atleast_2d(drawn), minlength=n).astype(np.float64)
        separated, by_x, by_y = (np.einsum("ri,ri->r", counts @ signs, counts) for signs in (of_x * of_y, np.abs(of_x), np.abs(of_y)))
        return _ratio(separated, by_x * by_y)

    return _resampled(tau, np.arange(n))


def _within_noise(pairs: Pairs) -> Array | None:
    """(REPLICATES,): rho of the same models as other draws of test images measure them; None where no deviation is known."""
    if pairs.x_deviation is None and pairs.y_deviation is None:
        return None
    at_once = _rows_at_once(_ARRAYS_OF_A_DRAW * len(pairs.x))
    draws = redrawn(pairs.x, pairs.y, pairs.x_deviation, pairs.y_deviation, REPLICATES, at_once, SEED + 1)
    return np.concatenate([_rho(x, y) for x, y in draws])


def _permutation_p(x: Array, y: Array) -> float:
    """The share of orders of one side with at least as strong a correlation: of all, or of random ones and the observed."""
    x_ranks, y_ranks = _ranks(x), _ranks(y)
    size = float(np.sqrt((x_ranks**2).sum() * (y_ranks**2).sum()))

    def strength(permuted: Array, axis: int) -> Array:
        return np.abs(np.moveaxis(permuted, axis, -1) @ y_ranks) / size

    found = permutation_test(
        (x_ranks,),
        strength,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=_rows_at_once(len(x)),
        alternative="greater",
        rng=SEED + 2,
    )
    return float(found.pvalue)


def _rows_at_once(n: int) -> int:
    """Resamples of n pairs in memory at once."""
    return max(1, _ENTRIES_AT_ONCE // n)


def as_values(values: Sequence[float]) -> Array:
    """Plain numbers as (n,) float64."""
    return np.asarray(values, dtype=np.float64)
