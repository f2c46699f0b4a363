"""95 % intervals of a report: accuracies, ARR, integrals of ARR, gains and headroom gains over test images and seeds.

Each quantity is a mean, or a ratio N/D of two means, over a random sample of test images and of seeds; the training set is fixed.
The interval inverts a test of mean(N - r D) = 0 (Fieller 1954), with

- a variance by the crossed design, which counts the interaction of images and seeds once (crossed.py);
- Student's t with Satterthwaite's (1946) degrees of freedom;
- Wilson's (1927) score limits for the positive and for the negative deviations of images, combined as in Newcombe's (1998) method 10:
  where nearly all images agree the interval is skewed and does not shrink to a point;
- one pseudo-image on either side, as large as the largest deviation, as Agresti and Min (2005) add to a table of pairs.

How often these intervals hold the true value is measured by `python -m benchmarks.coverage`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit
from scipy.stats import binom, norm

from iis_engine import protocols
from iis_engine.scoring.crossed import Array, CrossedMean, CrossedVariance, crossed_covariance, over_images

UPPER_LEVEL = (1 + protocols.CONFIDENCE) / 2
PSEUDO_IMAGES = 1.0  # on either side


@dataclass(frozen=True)
class Interval:
    """Estimates and their interval: (...) each. Infinite ends mean that these images set no limit."""

    estimate: Array
    low: Array
    high: Array


def proportion_interval(correct: ArrayLike) -> Interval:
    """Wilson's (1927) score interval of an accuracy without seeds, such as that of h.

    Parameters
    ----------
    correct : (..., n) in [0, 1]

    Examples
    --------
    >>> found = proportion_interval([1.0] * 9 + [0.0])
    >>> round(float(found.low), 3), round(float(found.high), 3)
    (0.596, 0.982)
    """
    values = np.asarray(correct, dtype=np.float64)
    n, p, z = values.shape[-1], values.mean(axis=-1), norm.ppf(UPPER_LEVEL)
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Interval(p, np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0))


def accuracy_interval(accuracy: CrossedMean) -> Interval:
    """Interval of a mean of correctness over seeds and images, cut to [0, 1]."""
    return _cut(_mean_interval(accuracy), 0.0, 1.0)


def difference_interval(difference: CrossedMean) -> Interval:
    """Interval of a difference of two accuracies, paired on the images, cut to [-1, 1]."""
    return _cut(_mean_interval(difference), -1.0, 1.0)


def ratio_interval(numerator: CrossedMean, denominator: CrossedMean) -> Interval:
    """Interval of mean(N) / mean(D), paired on images and on the seeds of equal groups.

    Parameters
    ----------
    numerator, denominator : (...) means that broadcast; their values per image are of the order of 1

    Returns
    -------
    Interval
        Ends are infinite where the denominator does not differ from 0 at the same level; the estimate is nan where it is 0.

    Raises
    ------
    ValueError
        When numerator and denominator have different numbers of test images.
    """
    if numerator.image_count != denominator.image_count:
        raise ValueError(f"{numerator.image_count} images in the numerator and {denominator.image_count} in the denominator.")
    divisor = denominator.value
    sign = np.where(divisor < 0, -1.0, 1.0)
    estimate = np.divide(
        numerator.value, divisor, out=np.full(np.broadcast_shapes(numerator.value.shape, divisor.shape), np.nan), where=divisor != 0
    )
    residual = (numerator - denominator * np.nan_to_num(estimate)) * sign
    variance = crossed_covariance(residual, residual)
    t = _student_quantile(variance, residual.image_count)
    below, above = _squared_widths(residual.by_image, variance, t)
    mixed = crossed_covariance(residual, denominator * sign)
    mixed_total = mixed.image + mixed.seed
    curvature = divisor**2 - t**2 * crossed_covariance(denominator, denominator).total
    down, up = _fieller_root(curvature, -(t**2) * mixed_total, below), _fieller_root(curvature, t**2 * mixed_total, above)
    bounded = curvature > 0
    return Interval(estimate, np.where(bounded, estimate - down, -np.inf), np.where(bounded, estimate + up, np.inf))


def better_than_chance(baseline_correct: ArrayLike, constant_correct: ArrayLike) -> NDArray[np.bool_]:
    """Whether h is more often right than the constant prediction, on the same images: the gate of every ratio to its accuracy.

    The two-sided 95 % interval of the paired difference lies above 0: by the exact conditional test of the images on which just
    one of the two is right, with mid-P (McNemar 1947; Fagerland, Lydersen and Laake 2013). A guessing head passes in about 2.5 %.

    Parameters
    ----------
    baseline_correct, constant_correct : (..., n) of 0 and 1

    Returns
    -------
    (...)

    Raises
    ------
    ValueError
        For other values, or for different numbers of images.
    """
    h, constant = (np.asarray(each, dtype=np.float64) for each in (baseline_correct, constant_correct))
    if h.shape != constant.shape or h.ndim < 1 or not all(np.isin(each, (0.0, 1.0)).all() for each in (h, constant)):
        raise ValueError("Correctness of h and of the constant prediction is 0 or 1 for each of the same images.")
    won, lost = ((h > constant).sum(axis=-1), (h < constant).sum(axis=-1))
    mid_p = binom.sf(won, won + lost, 0.5) + binom.pmf(won, won + lost, 0.5) / 2
    return np.asarray(mid_p < 1 - UPPER_LEVEL)


def _mean_interval(mean: CrossedMean) -> Interval:
    return ratio_interval(mean, over_images(np.ones(mean.image_count)))


def _cut(found: Interval, least: float, most: float) -> Interval:
    return Interval(found.estimate, np.maximum(found.low, least), np.minimum(found.high, most))


def _student_quantile(variance: CrossedVariance, image_count: int) -> Array:
    """Student's t with Satterthwaite's degrees of freedom of the sum of mean squares, between 1 and n - 1."""
    freedom = variance.seed_freedom.reshape(-1, *[1] * variance.image.ndim)
    spread = variance.image**2 / (image_count - 1) + (variance.seed_spread**2 / freedom).sum(axis=0)
    ratio = np.divide(variance.total**2, spread, out=np.full(spread.shape, image_count - 1.0), where=spread > 0)
    return stdtrit(np.clip(ratio, 1.0, image_count - 1.0), UPPER_LEVEL)


def _squared_widths(residual: Array, variance: CrossedVariance, t: Array) -> tuple[Array, Array]:
    """Squared distances (...) from the mean residual, 0, to its lower and its upper limit.

    Parameters
    ----------
    residual : (..., n) of mean 0, averaged over seeds
    """
    largest = np.abs(residual).max(axis=-1)
    largest = np.where(largest > 0, largest, 1.0)  # all images agree: the largest deviation possible
    gains_up, gains_down = _score_widths(np.maximum(residual, 0.0), largest, t)
    losses_up, losses_down = _score_widths(np.maximum(-residual, 0.0), largest, t)
    seed = t**2 * variance.seed
    below, above = losses_up**2 + gains_down**2, gains_up**2 + losses_down**2
    return np.maximum(below + seed, below / 2), np.maximum(above + seed, above / 2)


def _score_widths(deviation: Array, largest: Array, t: Array) -> tuple[Array, Array]:
    """Widths (...) above and below the mean of rare deviations, by the score test (mean - m)² = t² step m / n.

    For a compound Poisson sum the variance is its mean times `step`, the size of a deviation weighted by size; it is 1 where
    images are right or wrong, which gives Wilson's limits of a rare event.

    Parameters
    ----------
    deviation : (..., n), 0 or more
    largest : (...) size of the pseudo-image
    """
    n = deviation.shape[-1]
    total, squares = deviation.sum(axis=-1), (deviation**2).sum(axis=-1)
    step = (squares + PSEUDO_IMAGES * largest**2) / (total + PSEUDO_IMAGES * largest)
    shift = t**2 * step / (2 * n)
    root = np.sqrt(t**2 * step * total / n**2 + shift**2)
    return root + shift, root - shift


def _fieller_root(curvature: Array, slope: Array, squared_width: Array) -> Array:
    """Distance x (...) from the ratio to a limit: curvature x² + 2 slope x = squared_width. Without meaning for curvature of 0 or less."""
    safe = np.where(curvature > 0, curvature, 1.0)
    return (np.sqrt(slope**2 + safe * squared_width) - slope) / safe
