"""Coordinates, light and rough surfaces, of which places and objects are drawn. Colours are RGB from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Colour = Sequence[float] | Array

SIDE_PIXELS = 96
Y, X = (np.mgrid[:SIDE_PIXELS, :SIDE_PIXELS] + 0.5) / SIDE_PIXELS
"""Image coordinates of each pixel from 0 to 1: down and to the right."""

ROUGHNESS_SIDE = 256
ROUGHNESS_VARIANTS = 6
MIN_DEPTH_FRACTION = 0.02  # of the image's height below the horizon, where depth is cut off


@dataclass(frozen=True)
class Light:
    """Sunlight of a scene.

    Attributes
    ----------
    side : where the sun stands: -1 at the left to 1 at the right
    warmth : 0 (noon) to 1 (evening)
    strength : 0 (overcast) to 1 (clear)
    """

    side: float
    warmth: float
    strength: float

    @staticmethod
    def drawn(generator: np.random.Generator) -> Light:
        """Light of any time and weather, seldom from straight ahead."""
        side = generator.choice([-1.0, 1.0]) * generator.uniform(0.4, 1.0)
        return Light(side, generator.beta(1.0, 1.6), generator.uniform(0.45, 1.0))

    @property
    def colour(self) -> Array:
        return mixed((1.0, 0.99, 0.96), (1.0, 0.80, 0.58), self.warmth)

    def shade(self, facing: float | Array) -> Array:
        """Factor (…, 3) on the colour of a surface, of which `facing` is the cosine between its normal and the sun, at least -1."""
        direct = np.maximum(np.asarray(facing, dtype=float), 0.0)[..., None]
        return (0.80 - 0.28 * self.strength) * np.array([0.94, 0.98, 1.06]) + 0.62 * self.strength * direct * self.colour


def mixed(first: Colour, second: Colour, share: float | Array) -> Array:
    """Colours between `first` and `second`; `share` of the second, one number or one per pixel."""
    start, end, part = np.asarray(first, dtype=float), np.asarray(second, dtype=float), np.asarray(share, dtype=float)
    return start + (end - start) * (part[..., None] if part.ndim else part)


def smooth_step(values: Array, low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    part = np.clip((values - low) / (high - low), 0.0, 1.0)
    return part * part * (3.0 - 2.0 * part)


@cache
def _roughness(exponent: float, variant: int) -> Array:
    """Noise (256, 256) of mean 0 and deviation 1 that repeats without seam; amplitude falls with frequency to the power `exponent`."""
    white = np.random.default_rng(variant).normal(size=(ROUGHNESS_SIDE, ROUGHNESS_SIDE))
    frequency = np.hypot(np.fft.fftfreq(ROUGHNESS_SIDE)[:, None], np.fft.rfftfreq(ROUGHNESS_SIDE)[None])
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(white) / frequency**exponent, s=white.shape)
    return noise / noise.std()


def rough(generator: np.random.Generator, across: Array, along: Array, exponent: float = 1.2) -> Array:
    """Noise of deviation 1 at the surface coordinates `across` and `along`, whose unit is 256 samples; a random part of the surface."""
    noise = _roughness(exponent, int(generator.integers(ROUGHNESS_VARIANTS)))
    rows, columns = generator.integers(ROUGHNESS_SIDE, size=2)
    return noise[
        (np.floor(along * ROUGHNESS_SIDE).astype(int) + rows) % ROUGHNESS_SIDE,
        (np.floor(across * ROUGHNESS_SIDE).astype(int) + columns) % ROUGHNESS_SIDE,
    ]


def ridge(generator: np.random.Generator, waves: Sequence[tuple[float, float]]) -> Array:
    """Height (SIDE_PIXELS,) of a line across the image: a sum of sines, each of a number of `waves` and an amplitude, at random phases."""
    phases = generator.uniform(0, 2 * np.pi, size=len(waves))
    return sum((a * np.sin(2 * np.pi * n * X[0] + phase) for (n, a), phase in zip(waves, phases, strict=True)), np.zeros(SIDE_PIXELS))


@dataclass(frozen=True)
class Ground:
    """Plane that recedes to a horizon: where each pixel below the horizon meets it.

    Attributes
    ----------
    across, along : coordinates on the plane (SIDE_PIXELS, SIDE_PIXELS)
    near : 0 at the horizon to 1 at the lower edge
    detail : share of fine structure that a pixel of this distance resolves
    """

    across: Array
    along: Array
    near: Array
    detail: Array

    @staticmethod
    def below(horizon: float) -> Ground:
        fraction = np.maximum((Y - horizon) / (1 - horizon), MIN_DEPTH_FRACTION)
        distance = 1.0 / fraction
        return Ground((X - 0.5) * distance, distance, np.clip((Y - horizon) / (1 - horizon), 0, 1), np.minimum(1.0, 4.0 * fraction))
