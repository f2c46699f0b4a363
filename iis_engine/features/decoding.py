"""Images decoded in threads, ahead of the network that reads them. What becomes of the pixels is decided in extraction."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from iis_engine.backbones.backbone import Backbone
from iis_engine.data.datasets import ImageDataset, LabelledImage
from iis_engine.data.images import load_image
from iis_engine.errors import DataError
from iis_engine.features.elements import ELEMENTS_PER_IMAGE_MAX, Box, cut_elements
from iis_engine.specs import ElementSpec

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Decoded:
    """Network inputs (k, H, W, channels) uint8 of a few images, or of the elements of one; `rows` says which images."""

    rows: list[int]
    boxes: list[Box]
    pixels: NDArray[np.uint8]
    failures: list[str]
    work_done: int


@contextmanager
def computed_ahead(tasks: Sequence[Task], compute: Callable[[Task], Result], threads: int, ahead: int) -> Generator[Iterator[Result]]:
    """The results of `compute` in the order of the tasks, at most `ahead` of them before they are asked for.

    Leaving, also by an error, drops the tasks that were not begun.
    """
    remaining = iter(tasks)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def begin(count: int) -> list[Future[Result]]:
        return [pool.submit(compute, task) for task in islice(remaining, count)]

    def results() -> Iterator[Result]:
        begun = deque(begin(ahead))
        while begun:
            result = begun.popleft().result()
            begun.extend(begin(1))
            yield result

    try:
        yield results()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def decode_images(backbone: Backbone, images: Sequence[LabelledImage], rows: Sequence[int]) -> Decoded:
    """The network's inputs of some images; those that cannot be decoded or resized are named in `failures`."""
    decoded, pixels, failures = list[int](), list[NDArray[np.uint8]](), list[str]()
    for row in rows:
        try:
            pixels.append(backbone.transform.pixels(load_image(images[row].path)))
            decoded.append(row)
        except DataError:
            failures.append(images[row].path.name)
    return Decoded(decoded, [], stacked(pixels, backbone), failures, len(rows))


def decode_elements(backbone: Backbone, dataset: ImageDataset, spec: ElementSpec, rows: Sequence[int]) -> Decoded:
    """The network's inputs of all elements of some training images."""
    decoded, boxes, pixels = list[int](), list[Box](), list[NDArray[np.uint8]]()
    for row in rows:
        try:
            image = load_image(dataset.train[row].path)
            backbone.transform.refuse_thin(image)
        except DataError:
            continue  # counted where the training images themselves are decoded
        for element in cut_elements(image, spec.kind):
            decoded.append(row)
            boxes.append(element.box)
            pixels.append(backbone.transform.whole_pixels(element.crop))
    return Decoded(decoded, boxes, stacked(pixels, backbone), [], len(rows) * ELEMENTS_PER_IMAGE_MAX[spec.kind])


def stacked(pixels: list[NDArray[np.uint8]], backbone: Backbone) -> NDArray[np.uint8]:
    """Network inputs in one array (k, H, W, channels), also where there are none."""
    height, width = backbone.input_size
    return np.stack(pixels) if pixels else np.empty((0, height, width, backbone.transform.channels), np.uint8)
