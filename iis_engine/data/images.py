"""Decode an image file into an upright 8-bit RGB image."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from iis_engine.errors import DataError

PIXEL_LIMIT = 80_000_000
"""Width times height above which a file is rejected before its pixels are decoded."""
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""Formats that Pillow decodes in this process; others, such as EPS, would start external programs."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm"})

_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_SIXTEEN_BIT_MAX = 65535
_DECODE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, struct.error, zlib.error)


def load_image(path: Path) -> Image.Image:
    """Decode a file into an upright 8-bit RGB image.

    The EXIF orientation is applied; transparent pixels are composed over white; grey, palette and CMYK images are converted; 16-bit
    grey values keep their upper 8 bits. An animation yields its first frame.

    Raises
    ------
    DataError
        If the file cannot be decoded completely or has more than `PIXEL_LIMIT` pixels. The message names the file.
    """
    try:
        # An open file rather than a path: Pillow memory-maps a path and then misreads rotated uncompressed TIFFs.
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > PIXEL_LIMIT:
                raise _refusal(path, f"has {width} x {height} pixels, more than the {PIXEL_LIMIT:,} allowed; resize it")
            image.load()
            return _as_rgb(ImageOps.exif_transpose(image), path)
    except Image.DecompressionBombError as error:
        raise _refusal(path, f"has more than the {PIXEL_LIMIT:,} pixels allowed; resize it") from error
    except UnidentifiedImageError as error:  # its message contains the path on this machine
        raise _refusal(path, f"is not an image of a supported format ({', '.join(FORMATS)})") from error
    except _DECODE_ERRORS as error:
        raise _refusal(path, f"cannot be decoded ({str(error) or type(error).__name__})") from error


def _as_rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES:
        return _from_sixteen_bits(image, path)
    if image.mode == "F":
        raise _refusal(path, "has floating point pixels of unknown range; save it with 8 or 16 bits per channel")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    rgba = image.convert("RGBA")
    on_white = Image.new("RGB", image.size, "white")
    on_white.paste(rgba, mask=rgba.getchannel("A"))
    return on_white


def _from_sixteen_bits(image: Image.Image, path: Path) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min(initial=0) < 0 or values.max(initial=0) > _SIXTEEN_BIT_MAX:
        raise _refusal(path, "has 32-bit pixels; save it with 8 or 16 bits per channel")
    return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")  # clipping at 255 would turn almost every pixel white


def _refusal(path: Path, reason: str) -> DataError:
    return DataError(f"The image {path.name} {reason}.", code="image_unreadable", param=path.name)
