"""Choose source images and cut visual elements from them: patches of grids and SLIC segments (METHOD §2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from iis_engine.data.image_dataset import ImageDataset
from iis_engine.data.splits import seeded_rank
from iis_engine.errors import DataError
from iis_engine.features.feature_set import Box, ElementRef
from iis_engine.specs import SEGMENT_LEVELS, SEGMENTS_PER_LEVEL, ElementSpec

SLIC_COMPACTNESS = 10.0
SLIC_SIGMA = 1.0
SEGMENT_AREA_MIN = 0.001  # share of the image
SEGMENT_JACCARD_MAX = 0.5
FILL_GREY = (117, 117, 117)
SEGMENTED_SIDE_PIXELS = 320
"""Long side of the image that is segmented; boxes and masks are then scaled up."""

ElementName = Literal["patch", "segment"]


@dataclass(frozen=True)
class Element:
    """A crop and its box (left, top, right, bottom) in pixels of the upright image."""

    box: Box
    crop: Image.Image
    kind: ElementName


def choose_source_images(dataset: ImageDataset, spec: ElementSpec) -> list[int]:
    """Return the indices of the training images to cut elements from: `images_of_each_class` per class, chosen by seed and content.

    Raises
    ------
    DataError
        If `images_per_class` is below 1.
    """
    if spec.images_per_class is not None and spec.images_per_class < 1:
        raise DataError(f"images_per_class must be at least 1; it is {spec.images_per_class}.", param="images_per_class")
    by_class: dict[int, list[int]] = {}
    for index, image in enumerate(dataset.train):
        by_class.setdefault(image.label, []).append(index)
    wanted = spec.images_of_each_class(len(by_class))
    return [
        index
        for label in sorted(by_class)
        for index in sorted(by_class[label], key=lambda index: seeded_rank(spec.seed, f"element {dataset.train_digests[index]}"))[:wanted]
    ]


def cut_elements(image: Image.Image, spec: ElementSpec) -> list[Element]:
    """Cut all elements of one upright RGB image: the patches of each grid row by row, coarsest grid first, then the segments."""
    patches = [Element(box, image.crop(box), "patch") for scale in spec.scales for box in _patch_boxes(image, scale)]
    return patches + (cut_segments(image) if spec.has_segments else [])


def cut_segments(image: Image.Image) -> list[Element]:
    """Cut the SLIC segments of one upright RGB image; deterministic."""
    return [_segment_element(image, mask) for mask in segment_masks(image)]


def element_crops(image: Image.Image, refs: Sequence[ElementRef]) -> list[Image.Image]:
    """Cut the crops of the referenced elements out of their image; the image is segmented at most once.

    Raises
    ------
    DataError
        If the image has no such segment, so that it is not the image that the element was cut from.
    """
    segments: dict[Box, Image.Image] = {}
    if any(ref.kind != "patch" for ref in refs):
        segments = {element.box: element.crop for element in reversed(cut_segments(image))}
    missing = next((ref.box for ref in refs if ref.kind != "patch" and ref.box not in segments), None)
    if missing is not None:
        raise DataError(f"The image has no segment at {missing}; send the image that the element was cut from.")
    return [image.crop(ref.box) if ref.kind == "patch" else segments[ref.box] for ref in refs]


def _patch_boxes(image: Image.Image, scale: int) -> list[Box]:
    """Boxes of the scale x scale grid that tiles the image; an image smaller than the grid has fewer."""
    columns = np.linspace(0, image.width, scale + 1).round().astype(int).tolist()
    rows = np.linspace(0, image.height, scale + 1).round().astype(int).tolist()
    boxes = [(left, top, right, bottom) for top, bottom in pairwise(rows) for left, right in pairwise(columns)]
    return [(left, top, right, bottom) for left, top, right, bottom in boxes if left < right and top < bottom]


def segment_masks(image: Image.Image) -> list[NDArray[np.bool_]]:
    """Segment the image by SLIC at three levels -> masks (h, w) bool of the image reduced to `SEGMENTED_SIDE_PIXELS`.

    Segments that are too small or overlap a chosen one are dropped. Of the others `SEGMENTS_PER_LEVEL` per level are chosen, evenly
    spaced in SLIC's order (row by row), so that they cover the whole image.
    """
    from skimage.segmentation import slic  # extraction without segments does without scikit-image

    reduced = image.copy()
    reduced.thumbnail((SEGMENTED_SIDE_PIXELS, SEGMENTED_SIDE_PIXELS), Image.Resampling.BILINEAR)
    pixels = np.asarray(reduced)
    masks: list[NDArray[np.bool_]] = []
    for level in SEGMENT_LEVELS:
        labels = slic(pixels, n_segments=level, compactness=SLIC_COMPACTNESS, sigma=SLIC_SIGMA, start_label=0, channel_axis=-1)
        distinct = [
            mask
            for label in range(int(labels.max()) + 1)
            if (mask := labels == label).mean() >= SEGMENT_AREA_MIN
            and all(_jaccard(mask, earlier) <= SEGMENT_JACCARD_MAX for earlier in masks)
        ]
        chosen = np.unique(np.linspace(0, len(distinct) - 1, SEGMENTS_PER_LEVEL).round().astype(int)) if distinct else []
        masks.extend(distinct[index] for index in chosen)
    return masks


def _jaccard(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = np.logical_or(one, other).sum()
    return float(np.logical_and(one, other).sum() / union) if union else 0.0


def _segment_element(image: Image.Image, mask: NDArray[np.bool_]) -> Element:
    image_mask = Image.fromarray(mask).resize(image.size, Image.Resampling.NEAREST)
    box = image_mask.getbbox() or (0, 0, image.width, image.height)
    crop = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), FILL_GREY)
    crop.paste(image.crop(box), mask=image_mask.crop(box))
    return Element(box, crop, "segment")
