"""Malicious and unusual image files: bombs, other formats under an image's name, false sizes, polyglots."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

from PIL import Image

BOMB_SIDE = 200_000
FRAMES = 300


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _picture(mode: str = "RGB", side: int = 24) -> Image.Image:
    return Image.effect_noise((side, side), 80).convert(mode)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(width: int, height: int, *extra: bytes, pixels: bytes | None = None, depth: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    rows = bytes((1 + 3 * width) * height) if pixels is None else pixels
    body = b"".join(extra) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + body


def _tiff(width: int, height: int, *, next_directory: int = 0, strips: int = 8) -> bytes:
    """A little-endian TIFF of one strip, with any stated size."""
    entries = [
        *((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)),
        *((273, 4, 1, strips), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 64)),
    ]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + packed + struct.pack("<I", next_directory) + bytes(64)


def _animated(kind: str) -> bytes:
    frames = [_picture("P" if kind == "GIF" else "RGB") for _ in range(FRAMES)]
    return _encoded(frames[0], kind, save_all=True, append_images=frames[1:])


def _with_zip() -> bytes:
    buffer = io.BytesIO(_encoded(_picture(), "PNG"))
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("evil.py", "import os")
    return buffer.getvalue()


def _ico() -> bytes:
    return _encoded(_picture(), "ICO")


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><image href="file:///etc/passwd"/><script>alert(1)</script></svg>'
ENTITIES = b'<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><svg>&b;&b;&b;</svg>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/tmp/evil) (w) file closefile\nshowpage\n%%EOF\n"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"

REFUSED: dict[str, Callable[[], bytes]] = {
    "png-bomb.png": lambda: _png(BOMB_SIDE, BOMB_SIDE, pixels=bytes(1_000_000)),
    "png-of-the-largest-size.png": lambda: _png(0x7FFFFFFF, 0x7FFFFFFF, pixels=b""),
    "png-short-of-pixels.png": lambda: _png(5000, 5000, pixels=bytes(100)),
    "png-of-no-size.png": lambda: _png(0, 0, pixels=b""),
    "png-text-bomb.png": lambda: _png(8, 8, *(_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(70_000_000))) for _ in range(2))),
    "png-wrong-sums.png": lambda: _encoded(_picture(), "PNG").replace(b"IDAT", b"IDAX"),
    "png-cut.png": lambda: _encoded(_picture(side=64), "PNG")[:-200],
    "jpeg-cut.jpg": lambda: _encoded(_picture(side=64), "JPEG")[:400],
    "tiff-bomb.tif": lambda: _tiff(BOMB_SIDE, BOMB_SIDE),
    "tiff-of-the-largest-size.tif": lambda: _tiff(0xFFFFFFFF, 0xFFFFFFFF),
    "tiff-beyond-its-end.tif": lambda: _tiff(64, 64, strips=0x7FFFFFF0),
    "tiff-of-floats.tif": lambda: _encoded(_picture("F"), "TIFF"),
    "bmp-bomb.bmp": lambda: (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(64)
    ),
    "ppm-bomb.ppm": lambda: b"P6 100000 100000 255\n" + bytes(64),
    "ppm-of-digits.ppm": lambda: b"P3 " + b"9" * 100_000 + b" 1 255\n",
    "gif-bomb.gif": lambda: (
        b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x08\x01"
    ),
    "webp-cut.webp": lambda: _encoded(_picture(side=64), "WEBP")[:60],
    "avif-cut.avif": lambda: _encoded(_picture(side=64), "AVIF")[:200],
    "avif-of-noise.avif": lambda: b"\0\0\0\x20ftypavif" + bytes(range(256)) * 4,
    "heic.jpg": lambda: b"\0\0\0\x18ftypheic" + bytes(range(256)),
    "svg.png": lambda: SVG,
    "entities.jpg": lambda: ENTITIES,
    "postscript.jpg": lambda: EPS,
    "pdf.png": lambda: PDF,
    "icon.png": _ico,
    "zip.jpg": lambda: _with_zip()[_with_zip().find(b"PK\x03\x04") :],
    "nothing.png": lambda: b"",
    "noise.gif": lambda: bytes(range(256)) * 20,
}
"""Images that must be refused, with the file's name in the message."""

HANDLED: dict[str, Callable[[], bytes]] = {
    "sixteen-bits.png": lambda: _encoded(Image.effect_noise((24, 24), 60).convert("I;16"), "PNG"),
    "cmyk.jpg": lambda: _encoded(_picture("CMYK"), "JPEG"),
    "cmyk.tif": lambda: _encoded(_picture("CMYK"), "TIFF"),
    "damaged-exif.png": lambda: _encoded(_picture(), "PNG", exif=b"Exif\0\0 no header"),
    "plain.avif": lambda: _encoded(_picture(), "AVIF"),
    "transparent.png": lambda: _encoded(_picture("RGBA"), "PNG"),
    "palette.png": lambda: _encoded(_picture("P"), "PNG"),
    "one-bit.png": lambda: _encoded(_picture("1"), "PNG"),
    "animated.gif": lambda: _animated("GIF"),
    "animated.webp": lambda: _animated("WEBP"),
    "animated.png": lambda: _animated("PNG"),
    "polyglot-zip.png": _with_zip,
    "polyglot-html.gif": lambda: _encoded(_picture("P"), "GIF") + b"<script>alert(1)</script>",
    "polyglot-php.jpg": lambda: _encoded(_picture(), "JPEG", comment=b"<?php system($_GET['c']); ?>"),
    "circle-of-pages.tif": lambda: _tiff(8, 8, next_directory=8),
}
"""Unusual but valid images."""
