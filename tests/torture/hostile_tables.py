"""Malicious tables, shards and features: manifests, Parquet files, WebDataset labels, CSV and torch files of numbers."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import torch

from torture.hostile_archives import good_entries, image
from torture.hostile_samples import DATASET, EITHER, HANDLED, REFUSED, Sample, Samples

NESTING = 100_000
BOMB_ROWS = 20_000_000
CHOSEN = {"kind": "images", "manifest": {"path": "t.csv"}}


def tables(folder: Path, marks: Path, *, bombs: bool) -> Samples:
    """Manifests inside archives, Parquet files of images, shards and features; bombs only if `bombs`."""
    images = [(f"{number}.png", image(number)) for number in range(8)]
    for name, content in _MANIFESTS.items():
        path = folder / f"manifest-{name}.tar"
        _write_tar(path, [*images, ("t.csv", content())])
        yield Sample(f"a manifest with {name}", path, DATASET, REFUSED, CHOSEN)
    for name, content in _BESIDE_CLASSES.items():
        path = folder / f"beside-{name.split('/')[-1]}.tar"
        _write_tar(path, [*good_entries(), (name, content())])
        yield Sample(f"{name} beside class folders", path, DATASET, HANDLED, {"kind": "images"})
    for name, content in _UPLOADS.items():
        path = folder / name
        path.write_bytes(content())
        yield Sample(name, path, DATASET, REFUSED, {"kind": "images"})
    for name, content in _FEATURES.items():
        path = folder / name
        path.write_bytes(content())
        yield Sample(name, path, DATASET, REFUSED, {"kind": "features"})
    path = folder / "gadget.pt"
    torch.save({"X_train": _Gadget(marks / "mark-features")}, path)
    yield Sample("a torch file of features that runs code", path, DATASET, REFUSED, {"kind": "features"})
    if bombs:
        path = folder / "rows.parquet"
        _write_repeated(path, b"x" * 5_000_000, 5_000)
        yield Sample("a Parquet file of one image repeated to 25 GB", path, DATASET, EITHER, {"kind": "images"})
        path = folder / "numbers.parquet"
        _write_repeated(path, 1.0, BOMB_ROWS)
        yield Sample("a Parquet file of twenty million equal rows", path, DATASET, EITHER, {"kind": "features"})


class _Gadget:
    """Unpickling creates a file."""

    def __init__(self, mark: Path) -> None:
        self._mark = str(mark)

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self._mark, "w")


def _write_tar(path: Path, entries: list[tuple[str, bytes]]) -> None:
    path.write_bytes(_tar(entries))


def _tar(entries: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _parquet(columns: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pydict(columns), buffer)
    return buffer.getvalue()


def _flipped(content: bytes, place: int) -> bytes:
    """The content with 64 bytes inverted."""
    return content[:place] + bytes(255 - byte for byte in content[place : place + 64]) + content[place + 64 :]


def _write_repeated(path: Path, value: object, rows: int) -> None:
    """One value, dictionary-encoded, in every row."""
    indices = pyarrow.array(np.zeros(rows, np.int8))
    column = pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array([value]))
    name = "image" if isinstance(value, bytes) else "f0"
    labels = pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array(["a"]))
    pyarrow.parquet.write_table(pyarrow.table({name: column, "label": labels}), path)


def _compressed_torch() -> bytes:
    plain, packed = io.BytesIO(), io.BytesIO()
    torch.save({"X_train": torch.zeros(1 << 20)}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name))
    return packed.getvalue()


_IMAGES = _parquet({"image": [image(number) for number in range(8)], "label": ["a", "b"] * 4})


def _indicators(classes: int) -> bytes:
    """A row for each image with a 1 in every column."""
    header = b",".join(b"c%d" % number for number in range(classes))
    return b"path," + header + b"\n" + b"".join(b"%d.png%s\n" % (row, b",1" * classes) for row in range(8))


_MANIFESTS: dict[str, Callable[[], bytes]] = {
    "paths that leave the data set": lambda: b"path,label\n../../etc/passwd,a\n/etc/shadow,b\n",
    "a cell of ten megabytes": lambda: b"path,label\n" + b"x" * 10_000_000 + b",a\n",
    "an unclosed quote": lambda: b'path,label\n"0.png,a\n' + b"1.png,b\n" * 1000,
    "bytes that are not UTF-8": lambda: b"path,label\n\xff\xfe.png,a\n",
    "a hundred thousand columns": lambda: b",".join(b"c%d" % number for number in range(100_000)) + b"\n",
    "null characters": lambda: b"path,label\n0.png,a\0b\n1.png,a\0b\n",
    "cells of ten thousand labels": lambda: b"path,label\n" + b"".join(b"%d.png,%s\n" % (row, b"a|b;" * 10_000) for row in range(8)),
    "a column of 0 and 1 for each of ten thousand classes": lambda: _indicators(10_000),
    "nothing": lambda: b"",
}
_BESIDE_CLASSES: dict[str, Callable[[], bytes]] = {
    "t.jsonl": lambda: b"[" * NESTING,
    "t.parquet": lambda: b"PAR1" + bytes(1000) + b"PAR1",
    "u.parquet": lambda: _flipped(_IMAGES, len(_IMAGES) - 300),
    "a/0.json": lambda: b'{"a":' * NESTING,
    "train.txt": lambda: b"../../../etc/passwd 1\n" * 1000,
}
_UPLOADS: dict[str, Callable[[], bytes]] = {
    "cut.parquet": lambda: _IMAGES[:-50],
    "flipped.parquet": lambda: _flipped(_IMAGES, len(_IMAGES) // 2),
    "footer.parquet": lambda: b"PAR1" + bytes(100) + b"\xff\xff\xff\x7fPAR1",
    "names.parquet": lambda: _parquet({"image": [image()] * 2, "label": ["../../evil", "../..:evil"]}),
    "no-image.parquet": lambda: _parquet({"image": [b"<svg/>"] * 8, "label": ["a", "b"] * 4}),
    "shard-traversal.tar": lambda: _tar([("train-0.tar", _tar([("../../evil.png", image())]))]),
    "shard-link.tar": lambda: _tar([("train-0.tar", _tar([]) + b"\0" * 512), ("train-1.tar", b"no tar")]),
}
_FEATURES: dict[str, Callable[[], bytes]] = {
    "infinite.csv": lambda: b"f0,label\n1e999,0\n1e999,1\n" * 2,
    "cells.csv": lambda: b"f0,label\n1,0\n1,0,0,0\n",
    "cut.csv": lambda: b"f0,label\n1",
    "vectors.parquet": lambda: _parquet({"embedding": [[1.0], [1.0, 2.0]], "label": [0, 1]}),
    "not.parquet": lambda: b"PAR1" + bytes(64),
    "compressed.pt": _compressed_torch,
    "not-a-torch-file.pt": lambda: b"\x80\x02}q\x00.",
}
