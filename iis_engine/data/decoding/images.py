"""Decode an image file into an upright 8-bit RGB image."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from iis_engine.data.decoding.image_signatures import name_unread_format
from iis_engine.errors import UnreadableImage

PIXEL_LIMIT = 80_000_000
"""Width times height above which a file is rejected before its pixels are decoded."""
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "AVIF")
"""Formats that Pillow decodes in this process; others, such as EPS, would start external programs."""
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".avif")  # as in iis_client
)
BITS_MIN, BITS_MAX = 8, 16

_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_SIXTEEN_BIT_MAX = 65535
_DECODE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, struct.error, zlib.error)
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to the operation that makes the image upright."""


class DecodedImage(NamedTuple):
    """An upright RGB image, and the bits in use of a file with 16 bits per channel.

    Attributes
    ----------
    grey_bits : smallest number of bits, at least 8, that holds every value of a 16-bit grey image; None for other images
    colour_bits : the same of a 16-bit colour image, of which Pillow keeps the upper 8 bits
    """

    image: Image.Image
    grey_bits: int | None = None
    colour_bits: int | None = None


def load_image(path: Path, grey_bits: int | None = None) -> Image.Image:
    """Decode a file into an upright 8-bit RGB image, as `decode_image`."""
    return decode_image(path, grey_bits).image


def decode_image(path: Path, grey_bits: int | None = None) -> DecodedImage:
    """Decode a file into an upright 8-bit RGB image.

    The EXIF orientation is applied, and passed over where it is damaged; transparent pixels are composed over white; grey, palette and
    CMYK images are converted. An animation yields its first frame.

    Parameters
    ----------
    grey_bits : bits in use of 16-bit grey values in this image's data set, of which the upper 8 are kept; None for the image's own

    Raises
    ------
    UnreadableImage
        If the file cannot be decoded completely or has more than `PIXEL_LIMIT` pixels. The message names the file.
    """
    try:
        # An open file rather than a path: Pillow memory-maps a path and then misreads rotated uncompressed TIFFs.
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > PIXEL_LIMIT:
                raise UnreadableImage(path.name, f"has {width} x {height} pixels, more than the {PIXEL_LIMIT:,} allowed; resize it")
            has_deep_colour = image.mode not in _SIXTEEN_BIT_MODES and any(";16" in str(tile) for tile in image.tile)
            image.load()
            upright = _upright(image)
            if upright.mode in _SIXTEEN_BIT_MODES:
                return _from_sixteen_bits(upright, path, grey_bits)
            rgb = _as_rgb(upright, path)
            return DecodedImage(rgb, colour_bits=_colour_bits(rgb) if has_deep_colour else None)
    except Image.DecompressionBombError as error:
        raise UnreadableImage(path.name, f"has more than the {PIXEL_LIMIT:,} pixels allowed; resize it") from error
    except UnidentifiedImageError as error:  # its message contains the path on this machine
        raise UnreadableImage(path.name, _unidentified(path)) from error
    except _DECODE_ERRORS as error:
        raise UnreadableImage(path.name, f"cannot be decoded ({str(error) or type(error).__name__})") from error


def _unidentified(path: Path) -> str:
    with path.open("rb") as file:
        name = name_unread_format(file.read(256))
    unsupported = f"is not an image of a supported format ({', '.join(FORMATS)})"
    return unsupported if name is None else f"{unsupported} but a {name} file; save it as JPEG or PNG"


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; a damaged EXIF block has none, and the pixels are whole without it."""
    try:
        orientation: object = image.getexif().get(ExifTags.Base.Orientation)
    except _DECODE_ERRORS:
        return image
    operation = _TRANSPOSITIONS.get(orientation) if isinstance(orientation, int) else None
    return image if operation is None else image.transpose(operation)


def _as_rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode == "F":
        raise UnreadableImage(path.name, "has floating point pixels of unknown range; save it with 8 or 16 bits per channel")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    rgba = image.convert("RGBA")
    on_white = Image.new("RGB", image.size, "white")
    on_white.paste(rgba, mask=rgba.getchannel("A"))
    return on_white


def _from_sixteen_bits(image: Image.Image, path: Path, grey_bits: int | None) -> DecodedImage:
    values = np.asarray(image).astype(np.int64)
    highest = int(values.max(initial=0))
    if values.min(initial=0) < 0 or highest > _SIXTEEN_BIT_MAX:
        raise UnreadableImage(path.name, "has 32-bit pixels; save it with 8 or 16 bits per channel")
    in_use = max(BITS_MIN, highest.bit_length())
    kept = np.minimum(values >> ((grey_bits or in_use) - BITS_MIN), 255)
    return DecodedImage(Image.fromarray(kept.astype(np.uint8)).convert("RGB"), grey_bits=in_use)


def _colour_bits(rgb: Image.Image) -> int:
    """Bits in use of a 16-bit colour image, from the upper 8 bits that Pillow keeps."""
    return BITS_MIN + int(np.asarray(rgb).max(initial=0)).bit_length()
