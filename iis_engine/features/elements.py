"""Visual elements, the crops that visual concepts are made of (METHOD §2): which images they come from and how they are cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.segmentation import slic

from iis_engine.data.datasets import ImageDataset, seeded_rank
from iis_engine.errors import DataError
from iis_engine.features.feature_set import ElementRef
from iis_engine.specs import ElementKind, ElementSpec

PATCH_GRID = 4
SEGMENT_LEVELS = (10, 20, 30)
SEGMENTS_PER_LEVEL = 5
SLIC_COMPACTNESS = 10.0
SLIC_SIGMA = 1.0
SEGMENT_AREA_MIN = 0.001
SEGMENT_JACCARD_MAX = 0.5
FILL_GREY = (117, 117, 117)
SEGMENTED_SIDE_PIXELS = 320
"""Images are segmented at no more than this on the long side; the segments are then scaled up, boxes and masks."""

ELEMENTS_PER_IMAGE_MAX: dict[ElementKind, int] = {"patches": PATCH_GRID**2, "segments": len(SEGMENT_LEVELS) * SEGMENTS_PER_LEVEL}

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Element:
    """A crop and its box (left, top, right, bottom) in the upright pixels of its image."""

    box: Box
    crop: Image.Image


def choose_source_images(dataset: ImageDataset, spec: ElementSpec) -> list[int]:
    """Indices of the training images that elements are cut from: `images_per_class` a class, by seed and content alone.

    Raises
    ------
    DataError
        If no image per class is asked for.
    """
    if spec.images_per_class < 1:
        raise DataError(f"images_per_class must be at least 1; it is {spec.images_per_class}.", param="images_per_class")
    by_class: dict[int, list[int]] = {}
    for index, image in enumerate(dataset.train):
        by_class.setdefault(image.label, []).append(index)
    return [
        index
        for label in sorted(by_class)
        for index in sorted(by_class[label], key=lambda index: seeded_rank(spec.seed, f"element {dataset.train_digests[index]}"))[
            : spec.images_per_class
        ]
    ]


def cut_elements(image: Image.Image, kind: ElementKind) -> list[Element]:
    """All elements of one upright RGB image, the same ones every time."""
    if kind == "patches":
        return [Element(box, image.crop(box)) for box in _patch_boxes(image)]
    return [_segment_element(image, mask) for mask in segment_masks(image)]


def element_crops(image: Image.Image, refs: Sequence[ElementRef]) -> list[Image.Image]:
    """The pictures of some elements of one image, for showing a concept by its exemplars; segments are cut anew, once.

    Raises
    ------
    DataError
        If the image has no such segment, so it is not the one that the element was cut from.
    """
    segments: dict[Box, Image.Image] = {}
    if any(ref.kind != "patch" for ref in refs):
        segments = {element.box: element.crop for element in reversed(cut_elements(image, "segments"))}
    missing = next((ref.box for ref in refs if ref.kind != "patch" and ref.box not in segments), None)
    if missing is not None:
        raise DataError(f"The image has no segment at {missing}; it is not the one that the element was cut from.")
    return [image.crop(ref.box) if ref.kind == "patch" else segments[ref.box] for ref in refs]


def element_kind_name(kind: ElementKind) -> str:
    """The singular that an ElementRef carries."""
    return "patch" if kind == "patches" else "segment"


def _patch_boxes(image: Image.Image) -> list[Box]:
    columns = np.linspace(0, image.width, PATCH_GRID + 1).round().astype(int).tolist()
    rows = np.linspace(0, image.height, PATCH_GRID + 1).round().astype(int).tolist()
    boxes = [(left, top, right, bottom) for top, bottom in pairwise(rows) for left, right in pairwise(columns)]
    return [(left, top, right, bottom) for left, top, right, bottom in boxes if left < right and top < bottom]


def segment_masks(image: Image.Image) -> list[NDArray[np.bool_]]:
    """SLIC segments at three levels as (h, w) masks of the image, reduced to at most `SEGMENTED_SIDE_PIXELS`.

    Segments that are tiny or that mostly repeat a kept one are dropped; of what is left of a level, `SEGMENTS_PER_LEVEL` are kept, evenly
    spaced in SLIC's order, which runs over the image in rows, so that they come from all of it.
    """
    reduced = image.copy()
    reduced.thumbnail((SEGMENTED_SIDE_PIXELS, SEGMENTED_SIDE_PIXELS), Image.Resampling.BILINEAR)
    pixels = np.asarray(reduced)
    kept: list[NDArray[np.bool_]] = []
    for level in SEGMENT_LEVELS:
        labels = slic(pixels, n_segments=level, compactness=SLIC_COMPACTNESS, sigma=SLIC_SIGMA, start_label=0, channel_axis=-1)
        fresh = [
            mask
            for label in range(int(labels.max()) + 1)
            if (mask := labels == label).mean() >= SEGMENT_AREA_MIN
            and all(_jaccard(mask, earlier) <= SEGMENT_JACCARD_MAX for earlier in kept)
        ]
        chosen = np.unique(np.linspace(0, len(fresh) - 1, SEGMENTS_PER_LEVEL).round().astype(int)) if fresh else []
        kept.extend(fresh[index] for index in chosen)
    return kept


def _jaccard(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = np.logical_or(one, other).sum()
    return float(np.logical_and(one, other).sum() / union) if union else 0.0


def _segment_element(image: Image.Image, mask: NDArray[np.bool_]) -> Element:
    stencil = Image.fromarray(mask).resize(image.size, Image.Resampling.NEAREST)
    box = stencil.getbbox() or (0, 0, image.width, image.height)
    crop = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), FILL_GREY)
    crop.paste(image.crop(box), mask=stencil.crop(box))
    return Element(box, crop)
