"""Decode every image of a data set once: digests, the reasons why images fail, and the bits in use of 16-bit images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from iis_engine.data.decoding.images import BITS_MAX, BITS_MIN, decode_image
from iis_engine.data.folders.class_folders import ClassImage
from iis_engine.errors import DataError, UnreadableImage
from iis_engine.progress import ProgressCallback

_READ_BYTES = 1 << 20
_CHECK_BATCH_FILES = 4096
_COLOUR_BITS_MIN = 12  # below, fewer than 16 of the 256 levels that Pillow keeps are in use


class CheckedImage(NamedTuple):
    """An image file that was decoded once.

    Attributes
    ----------
    digest : sha256 of the file's bytes
    problem : why it cannot be decoded, without its name; None for a readable image
    grey_bits, colour_bits : as in `DecodedImage`
    """

    image: ClassImage
    digest: str
    problem: str | None
    grey_bits: int | None = None
    colour_bits: int | None = None


def check_images(images: Sequence[ClassImage], progress: ProgressCallback) -> list[CheckedImage]:
    """Decode all images by all processors; the order is kept.

    Parameters
    ----------
    progress : called with (files checked, files)
    """
    checked = list[CheckedImage]()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, len(images), _CHECK_BATCH_FILES):
            for item in pool.map(_check_image, images[start : start + _CHECK_BATCH_FILES]):
                checked.append(item)
                progress(len(checked), len(images))
    return checked


def grey_bits_of(images: Sequence[CheckedImage]) -> tuple[int | None, list[str]]:
    """Return the bits in use over all 16-bit grey images, None without such images, and a warning where these are fewer than 16."""
    deep = [item.grey_bits for item in images if item.grey_bits is not None]
    if not deep:
        return None, []
    in_use = max(deep)
    if in_use == BITS_MAX:
        return in_use, []
    return in_use, [
        f"{len(deep)} 16-bit grey images use only the lowest {in_use} of their 16 bits, so values were scaled by 2^{in_use - BITS_MIN} "
        f"instead of 2^{BITS_MAX - BITS_MIN}, the same for all."
    ]


def deep_colour_refusal(images: Sequence[CheckedImage]) -> DataError | None:
    """Return the error for 16-bit colour images that would all be nearly black; None for other images."""
    deep = [item for item in images if item.colour_bits is not None]
    in_use = max((item.colour_bits or 0 for item in deep), default=BITS_MAX)
    if in_use > _COLOUR_BITS_MIN:
        return None
    return DataError(
        f"{len(deep)} colour images with 16 bits per channel use at most the lowest {in_use} of them, so they would be nearly black: "
        f"{deep[0].image.path.name}. Scale their values, or save them with 8 bits per channel.",
        code="dataset_range",
    )


def _check_image(image: ClassImage) -> CheckedImage:
    digest = hashlib.sha256()
    try:
        with image.path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
        decoded = decode_image(image.path)
    except UnreadableImage as error:
        return CheckedImage(image, digest.hexdigest(), error.reason)
    except OSError as error:
        return CheckedImage(image, digest.hexdigest(), f"cannot be opened ({error.strerror or type(error).__name__})")
    return CheckedImage(image, digest.hexdigest(), None, decoded.grey_bits, decoded.colour_bits)
