"""Decode images and visual elements into a network's input pixels; collect the images that cannot be decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iis_engine.backbones.backbone import Backbone
from iis_engine.data.decoding.images import load_image
from iis_engine.data.image_dataset import ImageDataset, LabelledImage
from iis_engine.errors import DataError
from iis_engine.features.elements import cut_elements
from iis_engine.features.feature_set import Box
from iis_engine.specs import ElementSpec


@dataclass(frozen=True)
class DecodedImages:
    """Network inputs of a few images, or of their visual elements.

    Attributes
    ----------
    pixels : (k, H, W, channels) uint8
    rows : k indices of the images
    boxes : k boxes of the elements; empty for the images of a split
    kinds : k kinds of the elements, patch or segment; empty for the images of a split
    failures : names of the images that could not be decoded, or the reasons
    work_done : units of progress
    """

    rows: list[int]
    boxes: list[Box]
    kinds: list[str]
    pixels: NDArray[np.uint8]
    failures: list[str]
    work_done: int


def decode_images(backbone: Backbone, images: Sequence[LabelledImage], rows: Sequence[int], grey_bits: int | None = None) -> DecodedImages:
    """Decode the images at `rows`; the names of those that cannot be decoded or resized go into `failures`.

    Parameters
    ----------
    grey_bits : of the images' data set, as in `load_image`
    """
    decoded, pixels, failures = list[int](), list[NDArray[np.uint8]](), list[str]()
    for row in rows:
        try:
            pixels.append(backbone.transform.pixels(load_image(images[row].path, grey_bits)))
            decoded.append(row)
        except DataError:
            failures.append(images[row].path.name)
    return DecodedImages(decoded, [], [], stack_pixels(pixels, backbone), failures, len(rows))


def decode_elements(backbone: Backbone, dataset: ImageDataset, spec: ElementSpec, rows: Sequence[int]) -> DecodedImages:
    """Cut all elements of the training images at `rows` and resize them without cropping."""
    decoded, boxes, kinds, pixels = list[int](), list[Box](), list[str](), list[NDArray[np.uint8]]()
    for row in rows:
        try:
            image = load_image(dataset.train[row].path, dataset.grey_bits)
            backbone.transform.require_resizable(image)
        except DataError:
            continue  # counted where the training images themselves are decoded
        for element in cut_elements(image, spec):
            decoded.append(row)
            boxes.append(element.box)
            kinds.append(element.kind)
            pixels.append(backbone.transform.uncropped_pixels(element.crop))
    return DecodedImages(decoded, boxes, kinds, stack_pixels(pixels, backbone), [], len(rows) * spec.elements_per_image_max)


def stack_pixels(pixels: list[NDArray[np.uint8]], backbone: Backbone) -> NDArray[np.uint8]:
    """Stack network inputs into one array (k, H, W, channels); k may be 0."""
    height, width = backbone.input_size
    return np.stack(pixels) if pixels else np.empty((0, height, width, backbone.transform.channels), np.uint8)
