"""Malicious archives: path traversal, links, devices, bombs, false sizes, too many files; class names with markup."""

from __future__ import annotations

import gzip
import io
import json
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save

from iis_engine.data.class_names import MAX_NAME_CHARACTERS
from torture import hostile_images
from torture.hostile_samples import BATCH, DATASET, EITHER, HANDLED, REFUSED, Sample, Samples

MANY_FILES = 1_000_000
BOMB_BYTES = 4 << 30
CLASS_NAMES = (
    "<script>document.title='hacked'</script>",
    '"><img src=x onerror="document.title=1">',
    "{{7*7}}${7*7}<%= 7*7 %>",
    "\u202eevil\u2066gnp.exe",
    "\x1b[2J\x07bell",
    "../../etc/passwd",
    "a/b\\c",
    "' OR 1=1; --",
    "=cmd|' /C calc'!A0",
    "zero\u200bwidth\u200d\ufeff",
    "Z\u0351\u0352a" + "\u0315" * 200,
    "x" * 10_000,
)
BOUNDED_NAMES = tuple(name for name in CLASS_NAMES if len(name) <= MAX_NAME_CHARACTERS)  # an upload with a longer one is refused


def image(seed: int = 0) -> bytes:
    """A small PNG, different for each seed."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def good_entries(classes: Iterable[str] = ("a", "b")) -> list[tuple[str, bytes]]:
    """Class folders of a valid data set."""
    return [(f"{name}/{number}.png", image(31 * place + number)) for place, name in enumerate(classes) for number in range(4)]


def archives(folder: Path, *, bombs: bool) -> Samples:
    """Archives that must be refused, and unusual ones that may be read; bombs only if `bombs`."""
    for makers, expected in ((_REFUSED, REFUSED), (_UNUSUAL, EITHER)):
        for name, make in makers.items():
            if name in _BOMBS and not bombs:
                continue
            path = folder / name
            make(path)
            yield Sample(name, path, DATASET, expected, {"kind": "images"})


def images(folder: Path) -> Samples:
    """Each malicious image among valid ones, all unusual ones together, and a batch of malicious ones to explain."""
    for name, make in hostile_images.REFUSED.items():
        path = folder / f"with-{name}.zip"
        _write_zip(path, [*good_entries(), (f"a/{name}", make())])
        yield Sample(f"{name} in a class folder", path, DATASET, REFUSED, {"kind": "images"}, message_part=name)
    unusual = [(f"{label}/{label}-{name}", make()) for name, make in hostile_images.HANDLED.items() for label in ("a", "b")]
    path = folder / "unusual-images.zip"
    _write_zip(path, [*good_entries(), *unusual])
    yield Sample("unusual images", path, DATASET, HANDLED, {"kind": "images"})
    path = folder / "batch.zip"
    _write_zip(path, [*((name, make()) for name, make in hostile_images.REFUSED.items()), ("good.png", image())])
    yield Sample("a batch of malicious images", path, BATCH, HANDLED, {})


def names(folder: Path) -> Samples:
    """Class names in the metadata of ready features, where all are allowed, and as folders, where the file system must allow them."""
    for what, names_given, expected in (
        ("class names in metadata", BOUNDED_NAMES, HANDLED),
        ("a class name without bound", CLASS_NAMES, REFUSED),
    ):
        path = folder / f"{what}.safetensors"
        labels = np.repeat(np.arange(len(names_given)), 3)
        matrix = np.random.default_rng(0).normal(size=(len(labels), 4)).astype(np.float32)
        arrays = {"X_train": matrix, "y_train": labels, "X_test": matrix, "y_test": labels}
        path.write_bytes(save(arrays, metadata={"iis": json.dumps({"class_names": list(names_given)})}))
        yield Sample(what, path, DATASET, expected, {"kind": "features"})
    path = folder / "names.zip"
    usable = [name for name in CLASS_NAMES if "/" not in name and "\\" not in name and len(name.encode()) < 200]
    _write_zip(path, good_entries(usable))
    yield Sample("class names of folders", path, DATASET, HANDLED, {"kind": "images"})
    for number, bad in enumerate(("x" * 10_000, "\0", "..", "a\udcffb")):
        path = folder / f"name-{number}.tar"
        _write_tar(path, [*good_entries(), (f"{bad}/1.png", image())])
        yield Sample(f"a folder named {bad[:10]!a}", path, DATASET, EITHER if bad == "\0" else REFUSED, {"kind": "images"})


def _write_zip(path: Path, entries: Iterable[tuple[str | zipfile.ZipInfo, bytes]], compression: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", compression, compresslevel=1) as archive:
        for name, content in entries:
            archive.writestr(name, content)


def _write_tar(path: Path, entries: Iterable[tuple[str | tarfile.TarInfo, bytes]]) -> None:
    with tarfile.open(path, "w", errors="surrogateescape") as archive:
        for name, content in entries:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if not isinstance(name, tarfile.TarInfo):
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def _zip_named(name: str) -> Callable[[Path], None]:
    return lambda path: _write_zip(path, [*good_entries(), (name, image())])


def _tar_named(name: str) -> Callable[[Path], None]:
    return lambda path: _write_tar(path, [*good_entries(), (name, image())])


def _tar_of(kind: bytes, target: str = "", then: str | None = None) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        info = tarfile.TarInfo("a/special")
        info.type, info.linkname = kind, target
        _write_tar(path, [*good_entries(), (info, b""), *(((then, image()),) if then else ())])

    return make


def _zip_link(path: Path) -> None:
    info = zipfile.ZipInfo("a/link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    _write_zip(path, [*good_entries(), (info, b"/etc/passwd")])


def _zip_device(path: Path) -> None:
    info = zipfile.ZipInfo("a/device.png")
    info.external_attr = (stat.S_IFBLK | 0o666) << 16
    _write_zip(path, [*good_entries(), (info, b"")])


def _nested(path: Path) -> None:
    """Six levels of archives of ten archives each, petabytes when fully extracted."""
    content = bytes(1_000_000)
    for level in range(6):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(10):
                archive.writestr(f"{level}-{number}.zip", content)
        content = buffer.getvalue()
    path.write_bytes(content)


def _zip_bomb(path: Path) -> None:
    info = zipfile.ZipInfo("a/bomb.png")
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(info, "w", force_zip64=True) as entry:
        for _ in range(BOMB_BYTES >> 24):
            entry.write(bytes(1 << 24))


def _overlapping(path: Path) -> None:
    """A thousand entries that share one compressed content."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    plain = bytes(10_000_000)
    packed = packer.compress(plain) + packer.flush()
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 0, zlib.crc32(plain), len(packed), len(plain), 1, 0) + b"x" + packed
    entries = b"".join(
        struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, zlib.crc32(plain), len(packed), len(plain), 1, 0, 0, 0, 0, 0, 0)
        + b"x"
        for _ in range(1000)
    )
    path.write_bytes(local + entries + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1000, 1000, len(entries), len(local), 0))


def _false_sizes(path: Path) -> None:
    """The central directory states a size of one byte for each entry."""
    _write_zip(path, good_entries())
    content = bytearray(path.read_bytes())
    start = 0
    while (start := content.find(b"PK\x01\x02", start)) >= 0:
        struct.pack_into("<I", content, start + 24, 1)
        start += 46
    path.write_bytes(bytes(content))


def _gzip_bomb(path: Path) -> None:
    info = tarfile.TarInfo("a/bomb.png")
    info.size = BOMB_BYTES
    with gzip.open(path, "wb", compresslevel=9) as packed:
        packed.write(info.tobuf())
        for _ in range(BOMB_BYTES >> 24):
            packed.write(bytes(1 << 24))


def _sparse(path: Path) -> None:
    """A sparse file of a terabyte, in GNU tar's format."""
    info = tarfile.TarInfo("a/holes.png")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b"S"
    header[386:398] = b"00000000000\0"
    header[398:410] = b"00000000001\0"
    header[483:495] = b"77777777777\0"
    header[148:156] = b"        "
    header[148:156] = f"{sum(header[:512]):06o}\0 ".encode()
    path.write_bytes(bytes(header[:512]) + bytes(1024))


def _pax(path: Path) -> None:
    """A pax extended header with a stated size of 6 GiB."""
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 6 << 30
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"30 path=../../../tmp/evil\n" + bytes(2048))


def _many_zip(path: Path) -> None:
    """A million files that are not images; large data sets have as many files, so their number is not refused."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(MANY_FILES):
            archive.writestr(f"a/{number}.txt", b"")


def _encrypted(path: Path) -> None:
    _write_zip(path, good_entries())
    content = bytearray(path.read_bytes())
    for magic, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        start = 0
        while (start := content.find(magic, start)) >= 0:
            content[start + place] |= 1
            start += 30
    path.write_bytes(bytes(content))


def _damaged(path: Path) -> None:
    _write_zip(path, good_entries(), zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    place = content.find(b"IDAT") + 10
    content[place] ^= 0xFF
    path.write_bytes(bytes(content))


def _with_method(path: Path, method: int) -> None:
    """A zip that states another compression than it has."""
    _write_zip(path, good_entries())
    content = bytearray(path.read_bytes())
    for magic, place in ((b"PK\x01\x02", 10), (b"PK\x03\x04", 8)):
        start = 0
        while (start := content.find(magic, start)) >= 0:
            content[start + place] = method
            start += 30
    path.write_bytes(bytes(content))


def _with_raw_name(path: Path, name: bytes) -> None:
    """A zip with a folder's name in a code page that is not stated."""
    _write_zip(path, [*good_entries(), ("x" * len(name) + "/1.png", image())])
    path.write_bytes(path.read_bytes().replace(b"x" * len(name) + b"/", name + b"/"))


_REFUSED: dict[str, Callable[[Path], object]] = {
    "traversal.zip": _zip_named("../../evil.png"),
    "traversal-inside.zip": _zip_named("a/../../../evil.png"),
    "absolute.zip": _zip_named("/tmp/evil.png"),  # noqa: S108
    "backslashes.zip": _zip_named("..\\..\\evil.png"),
    "drive.zip": _zip_named("C:\\evil.png"),
    "link.zip": _zip_link,
    "device.zip": _zip_device,
    "duplicate-names.zip": lambda path: _write_zip(path, [*good_entries(), *good_entries()]),
    "file-as-folder.zip": _zip_named("a/0.png/evil.png"),
    "long-name.zip": _zip_named("a/" + "n" * 300 + ".png"),
    "long-path.zip": _zip_named("/".join(["n" * 100] * 100) + ".png"),
    "nested-archives.zip": _nested,
    "bomb.zip": _zip_bomb,
    "overlapping.zip": _overlapping,
    "false-sizes.zip": _false_sizes,
    "encrypted.zip": _encrypted,
    "damaged.zip": _damaged,
    "deflate64.zip": lambda path: _with_method(path, 9),
    "zstandard.zip": lambda path: _with_method(path, 93),
    "code-page.zip": lambda path: _with_raw_name(path, b"K\x84se"),
    "seven.zip": lambda path: path.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(range(256)) * 10),
    "truncated.zip": lambda path: (_write_zip(path, good_entries()), path.write_bytes(path.read_bytes()[:-30])),
    "traversal.tar": _tar_named("../../evil.png"),
    "absolute.tar": _tar_named("/tmp/evil.png"),  # noqa: S108
    "link.tar": _tar_of(tarfile.SYMTYPE, "/etc"),
    "link-then-write.tar": _tar_of(tarfile.SYMTYPE, "/tmp", then="a/special/evil.png"),  # noqa: S108
    "hard-link.tar": _tar_of(tarfile.LNKTYPE, "/etc/passwd"),
    "device.tar": _tar_of(tarfile.BLKTYPE),
    "character-device.tar": _tar_of(tarfile.CHRTYPE),
    "pipe.tar": _tar_of(tarfile.FIFOTYPE),
    "sparse.tar": _sparse,
    "pax.tar": _pax,
    "bomb.tar.gz": _gzip_bomb,
    "empty.zip": lambda path: _write_zip(path, []),
    "zero-bytes.zip": lambda path: path.write_bytes(b""),
    "not-an-archive.tar": lambda path: path.write_bytes(bytes(range(256)) * 100),
    "one-class.zip": lambda path: _write_zip(path, good_entries(("a",))),
    "svg-only.zip": lambda path: _write_zip(path, [("a/1.svg", hostile_images.SVG), ("b/1.svg", hostile_images.SVG)]),
}
_UNUSUAL: dict[str, Callable[[Path], object]] = {
    "many-files.zip": _many_zip,  # refused after reading, or killed at its deadline on a slow disk
    "macos-metadata.zip": lambda path: _write_zip(path, [*good_entries(), ("__MACOSX/a/._0.png", b"x"), ("a/.DS_Store", b"x")]),
    "prefixed.zip": lambda path: (_write_zip(path, good_entries()), path.write_bytes(b"#!/bin/sh\nexit\n" + path.read_bytes())),
}
_BOMBS = {"bomb.zip", "bomb.tar.gz", "many-files.zip", "nested-archives.zip"}
