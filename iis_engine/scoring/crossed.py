"""Means over test images and seeds, and the variance of such means in a crossed design. No interval: see intervals.py.

A library's correctness is a table, seeds by images, and so is a control's; the tables share the images and not the seeds. Numbers
on one table add up as grand mean + image + seed + interaction (METHOD §3), so the variance of the mean has three parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CrossedMean:
    """Sum of means over seeds and images: one mean for each group of seeds, and one of values without seeds.

    Build one by `over_seeds` or `over_images`; add, subtract and scale them. Groups of one name have the same seeds.

    Attributes
    ----------
    groups : (..., S, n) values by name of the group of seeds
    images : (..., n) values without seeds

    Examples
    --------
    >>> library = over_seeds([[1, 1, 0, 1], [1, 0, 0, 1]], "library")
    >>> float((library - over_images([0, 1, 0, 0])).value)
    0.375
    """

    groups: Mapping[str, Array]
    images: Array

    @property
    def image_count(self) -> int:
        """Number n of test images."""
        return self.images.shape[-1]

    @property
    def by_image(self) -> Array:
        """(..., n) values, averaged over the seeds of each group."""
        return self.images + sum(values.mean(axis=-2) for values in self.groups.values())

    @property
    def value(self) -> Array:
        """(...) the mean."""
        return self.by_image.mean(axis=-1)

    def __add__(self, other: CrossedMean) -> CrossedMean:
        groups = dict(self.groups)
        for name, values in other.groups.items():
            groups[name] = groups[name] + values if name in groups else values
        return CrossedMean(groups, self.images + other.images)

    def __sub__(self, other: CrossedMean) -> CrossedMean:
        return self + other * -1.0

    def __mul__(self, factor: ArrayLike) -> CrossedMean:
        """Multiply by a number, or by (...) numbers."""
        scale = np.asarray(factor, dtype=np.float64)
        return CrossedMean({name: values * scale[..., None, None] for name, values in self.groups.items()}, self.images * scale[..., None])


def over_seeds(values: ArrayLike, group: str) -> CrossedMean:
    """Mean over seeds and test images.

    Parameters
    ----------
    values : (..., S, n), S of 1 or more and n of 2 or more
    group : name of the seeds, such as "library"; means of one group vary together

    Raises
    ------
    ValueError
        For fewer than two images, or without seeds.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim < 2 or array.shape[-2] < 1:
        raise ValueError(f"Values over seeds have the shape (..., seeds, images); got {array.shape}.")
    return CrossedMean({group: array}, over_images(np.zeros(array.shape[-1])).images)


def over_images(values: ArrayLike) -> CrossedMean:
    """Mean over test images of values (..., n) that have no seed, n of 2 or more.

    Raises
    ------
    ValueError
        For fewer than two images.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim < 1 or array.shape[-1] < 2:
        raise ValueError(f"An interval needs two test images or more; got values of shape {array.shape}.")
    return CrossedMean({}, array)


@dataclass(frozen=True)
class CrossedVariance:
    """Variance of a crossed mean, or covariance of two.

    Attributes
    ----------
    image : (...) of the mean over images; it contains the interaction once
    seed : (...) what the choice of seeds adds, an unbiased estimate that may be negative
    seed_spread : (G, ...) mean square between the seeds of each group as a variance of the mean: seed and interaction together
    seed_freedom : (G,) degrees of freedom S - 1 of each
    """

    image: Array
    seed: Array
    seed_spread: Array
    seed_freedom: Array

    @property
    def total(self) -> Array:
        """(...) image + seed, at least half of the image part."""
        return np.maximum(self.image + self.seed, self.image / 2)


def crossed_covariance(first: CrossedMean, second: CrossedMean) -> CrossedVariance:
    """Covariance of two means on the same images and seeds, by the mean squares of the two-way layout.

    The mean square of images over S contains the image effect and the interaction; that of seeds over n contains the seed effect and
    the interaction; one interaction is subtracted, so that their sum counts it once (Cornfield and Tukey 1956; Searle, Casella and
    McCulloch 1992, chapter 4). A group of one seed adds nothing.
    """
    n = first.image_count
    image = (_centred(first.by_image) * _centred(second.by_image)).sum(axis=-1) / ((n - 1) * n)
    shared = [name for name in first.groups if name in second.groups and first.groups[name].shape[-2] > 1]
    seed = np.zeros_like(image)
    spreads: list[Array] = []
    for name in shared:
        spread, interaction = _seed_parts(first.groups[name], second.groups[name])
        seed = seed + spread - interaction
        spreads.append(np.broadcast_to(spread, image.shape))
    freedom = np.array([first.groups[name].shape[-2] - 1.0 for name in shared])
    return CrossedVariance(image, seed, np.array(spreads).reshape(len(shared), *image.shape), freedom)


def _seed_parts(first: Array, second: Array) -> tuple[Array, Array]:
    """Mean squares (products) of seeds and of the interaction of (..., S, n) tables, each as a variance of the grand mean."""
    seeds, n = first.shape[-2:]
    by_seed = (_centred(first.mean(axis=-1)) * _centred(second.mean(axis=-1))).sum(axis=-1)
    grand = first.mean(axis=(-2, -1)) * second.mean(axis=(-2, -1))
    by_image = np.einsum("...i,...i->...", first.mean(axis=-2), second.mean(axis=-2)) - n * grand
    total = np.einsum("...si,...si->...", first, second) - seeds * n * grand
    residual = total - n * by_seed - seeds * by_image
    return by_seed / ((seeds - 1) * seeds), residual / ((seeds - 1) * (n - 1) * n * seeds)


def _centred(values: Array) -> Array:
    return values - values.mean(axis=-1, keepdims=True)
