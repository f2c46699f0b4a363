"""Which images a step of training sees, in which order and how they are shifted; decoded ahead. No network lives here."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iis_engine.datasets import LabelledImage
from iis_engine.decoding import computed_ahead
from iis_engine.images import load_image
from iis_engine.preprocessing import ImageTransform

SHIFT_SHARE = 1 / 16
"""Of the side, how far an image is moved at most. Nothing else is changed: flipping makes another sign of a digit, a letter or a left
hand, and random zooms and colours take away what some classes are told by."""
CACHE_BYTES = 1 << 30
"""Data sets whose network inputs take no more than this are decoded once; larger ones in every epoch."""
STEPS_AHEAD = 2


class Step(NamedTuple):
    """The images of one step of the optimiser."""

    pixels: NDArray[np.uint8]  # (n, H, W, channels)
    labels: Tensor  # (n,) int64


class TrainingImages:
    """Some images of a split as a network's inputs, in batches that depend on seed and epoch alone."""

    def __init__(self, images: Sequence[LabelledImage], rows: Sequence[int], transform: ImageTransform, threads: int) -> None:
        self._images = images
        self._rows = list(rows)
        self._transform = transform
        self._threads = threads
        height, width = transform.input_size
        self._cache: dict[int, NDArray[np.uint8]] | None = None
        if len(self._rows) * height * width * transform.channels <= CACHE_BYTES:
            self._cache = {}

    def __len__(self) -> int:
        return len(self._rows)

    @contextmanager
    def epoch(self, seed: int, epoch: int, step_size: int) -> Generator[Iterator[Step]]:
        """The steps of one epoch: every image once, in shuffled order, moved a little, in steps of nearly equal size."""
        order = [self._rows[place] for place in np.random.default_rng((seed, epoch)).permutation(len(self)).tolist()]
        parts = [part.tolist() for part in np.array_split(order, step_count(len(self), step_size))]

        def read(rows: list[int]) -> Step:
            return Step(np.stack([shifted(self._pixels(row), (seed, epoch, row)) for row in rows]), self._labels(rows))

        with computed_ahead(parts, read, self._threads, STEPS_AHEAD) as steps:
            yield steps

    @contextmanager
    def in_order(self, step_size: int) -> Generator[Iterator[Step]]:
        """All images as they are, for evaluation."""
        parts = [self._rows[start : start + step_size] for start in range(0, len(self), step_size)]

        def read(rows: list[int]) -> Step:
            return Step(np.stack([self._pixels(row) for row in rows]), self._labels(rows))

        with computed_ahead(parts, read, self._threads, STEPS_AHEAD) as steps:
            yield steps

    def _pixels(self, row: int) -> NDArray[np.uint8]:
        if self._cache is None:
            return self._transform.pixels(load_image(self._images[row].path))
        if row not in self._cache:
            self._cache[row] = self._transform.pixels(load_image(self._images[row].path))
        return self._cache[row]

    def _labels(self, rows: Sequence[int]) -> Tensor:
        return torch.tensor([self._images[row].label for row in rows])


def step_count(image_count: int, step_size: int) -> int:
    """Steps in an epoch; the last one is not a small rest, since batch statistics of few images are bad ones."""
    return math.ceil(image_count / step_size)


def shifted(pixels: NDArray[np.uint8], key: tuple[int, int, int]) -> NDArray[np.uint8]:
    """(H, W, channels) moved by up to `SHIFT_SHARE` of each side, as `key` (seed, epoch, image) decides; its edge fills what comes in."""
    height, width = pixels.shape[:2]
    most_down, most_across = round(SHIFT_SHARE * height), round(SHIFT_SHARE * width)
    down, across = np.random.default_rng(key).integers((-most_down, -most_across), (most_down + 1, most_across + 1)).tolist()
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - across, 0, width - 1)
    return pixels[rows[:, None], columns[None, :]]
