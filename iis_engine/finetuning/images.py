"""Training batches: order, shifts and decoding ahead of the images of an epoch."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import islice, pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iis_engine.backbones.preprocessing import ImageTransform
from iis_engine.data.decoding.images import load_image
from iis_engine.data.image_dataset import LabelledImage
from iis_engine.features.embedding import CHUNK_IMAGES
from iis_engine.features.prefetching import prefetch

SHIFT_SHARE = 1 / 16
"""Largest shift of an image as a share of its side, the only augmentation: flips change the meaning of digits, letters and left hands,
and random crops and colours remove what distinguishes some classes."""
CACHE_BYTES = 1 << 30
"""Data sets whose network inputs fit are decoded once; larger ones in every epoch."""


class Images(NamedTuple):
    """Decoded images."""

    pixels: NDArray[np.uint8]  # (n, H, W, channels)
    labels: Tensor  # (n,) int64


class Step:
    """The images of one optimiser step, in portions that are decoded on demand.

    A step may hold more images than fit into memory. A second call of `portions` decodes the same images again.
    """

    def __init__(self, image_count: int, ahead: Iterator[Images], again: Callable[[], AbstractContextManager[Iterator[Images]]]) -> None:
        self.image_count = image_count
        self._ahead: Iterator[Images] | None = ahead
        self._again = again

    def portions(self) -> Iterator[Images]:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            yield from ahead
            return
        with self._again() as decoded:
            yield from decoded


class TrainingImages:
    """Images of a split as network inputs, in batches that depend on seed and epoch alone.

    Parameters
    ----------
    grey_bits : of the images' data set, as in `load_image`
    """

    def __init__(
        self, images: Sequence[LabelledImage], rows: Sequence[int], transform: ImageTransform, threads: int, grey_bits: int | None = None
    ) -> None:
        self._images = images
        self._rows = list(rows)
        self._transform = transform
        self._threads = threads
        self._grey_bits = grey_bits
        height, width = transform.input_size
        self._cache: dict[int, NDArray[np.uint8]] | None = None
        if len(self._rows) * height * width * transform.channels <= CACHE_BYTES:
            self._cache = {}

    def __len__(self) -> int:
        return len(self._rows)

    @contextmanager
    def epoch(self, seed: int, epoch: int, batch_size: int, accumulation_steps: int) -> Generator[Iterator[Step]]:
        """The steps of one epoch, in portions of a batch: every image once, in shuffled order, with random shifts.

        Steps have nearly equal sizes, and so have their portions.
        """
        order = [self._rows[place] for place in np.random.default_rng((seed, epoch)).permutation(len(self)).tolist()]
        planned = [
            [order[step][portion] for portion in even_slices(step.stop - step.start, batch_size)]
            for step in even_slices(len(order), batch_size * accumulation_steps)
        ]

        def moved(row: int) -> NDArray[np.uint8]:
            return shifted(self._pixels(row), (seed, epoch, row))

        def steps(decoded: Iterator[Images]) -> Iterator[Step]:
            for portions in planned:
                ahead = islice(decoded, len(portions))
                yield Step(sum(map(len, portions)), ahead, partial(self._decoded, portions, moved))
                deque(ahead, maxlen=0)  # drops the rest of an interrupted step

        with self._decoded([portion for portions in planned for portion in portions], moved) as decoded:
            yield steps(decoded)

    @contextmanager
    def in_order(self, batch_size: int) -> Generator[Iterator[Images]]:
        """All images in order and without shifts, for evaluation."""
        portions = [self._rows[start : start + batch_size] for start in range(0, len(self), batch_size)]
        with self._decoded(portions, self._pixels) as decoded:
            yield decoded

    @contextmanager
    def _decoded(self, portions: Sequence[Sequence[int]], pixels: Callable[[int], NDArray[np.uint8]]) -> Generator[Iterator[Images]]:
        """Portions of images, each decoded by all threads about one portion ahead of the reader."""
        chunks = [[rows[start : start + CHUNK_IMAGES] for start in range(0, len(rows), CHUNK_IMAGES)] for rows in portions]

        def read(rows: Sequence[int]) -> NDArray[np.uint8]:
            return np.stack([pixels(row) for row in rows])

        ahead = self._threads + max(map(len, chunks))
        with prefetch([rows for each in chunks for rows in each], read, self._threads, ahead) as stream:
            yield (
                Images(np.concatenate(list(islice(stream, len(each)))), self._labels(rows))
                for each, rows in zip(chunks, portions, strict=True)
            )

    def _pixels(self, row: int) -> NDArray[np.uint8]:
        if self._cache is None:
            return self._transform.pixels(load_image(self._images[row].path, self._grey_bits))
        if row not in self._cache:
            self._cache[row] = self._transform.pixels(load_image(self._images[row].path, self._grey_bits))
        return self._cache[row]

    def _labels(self, rows: Sequence[int]) -> Tensor:
        return torch.tensor([self._images[row].label for row in rows])


def even_slices(count: int, at_most: int) -> list[slice]:
    """Slices of nearly equal length that cover 0..count-1, so that no small remainder has bad batch statistics.

    No slice has one image unless `at_most` is 1, since one image has no batch statistics; for that a slice of two may become three.

    Examples
    --------
    >>> [part.stop - part.start for size in (1, 2, 4) for part in even_slices(5, size)]
    [1, 1, 1, 1, 1, 2, 3, 2, 3]
    """
    parts = max(1, min(math.ceil(count / at_most), count // min(2, at_most)))
    edges = np.linspace(0, count, parts + 1).round().astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(edges)]


def shifted(pixels: NDArray[np.uint8], key: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Pixels (H, W, channels) shifted by up to `SHIFT_SHARE` of each side, drawn from `key` (seed, epoch, image), edges repeated."""
    height, width = pixels.shape[:2]
    most_down, most_across = round(SHIFT_SHARE * height), round(SHIFT_SHARE * width)
    down, across = np.random.default_rng(key).integers((-most_down, -most_across), (most_down + 1, most_across + 1)).tolist()
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - across, 0, width - 1)
    return pixels[rows[:, None], columns[None, :]]
