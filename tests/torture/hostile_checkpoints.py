"""Malformed checkpoints without code: torch zips and safetensors with false sizes, names and shapes."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch._utils import _rebuild_tensor_v2

from torture.hostile_samples import MODEL, Sample, Samples

MANY_ENTRIES = 100_001
MANY_TENSORS = 1_000_000
NESTING = 100_000


def checkpoints(folder: Path, *, bombs: bool) -> Samples:
    """Malformed checkpoints; those that take seconds only if `bombs`."""
    for name, make in {**_TORCH, **_SAFETENSORS}.items():
        if name in _BOMBS and not bombs:
            continue
        path = folder / f"{name.replace(' ', '-')}{'.pt' if name in _TORCH else '.safetensors'}"
        path.write_bytes(make())
        yield Sample(name, path, MODEL)


def _weights() -> dict[str, torch.Tensor]:
    return {"conv1.weight": torch.ones(4, 3, 3, 3), "fc.bias": torch.zeros(2)}


def _saved() -> bytes:
    buffer = io.BytesIO()
    torch.save(_weights(), buffer)
    return buffer.getvalue()


def _rewritten(change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]], compression: int = zipfile.ZIP_STORED) -> bytes:
    with zipfile.ZipFile(io.BytesIO(_saved())) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in change(entries):
            archive.writestr(name, content)
    return buffer.getvalue()


def _pickled_as(content: bytes) -> bytes:
    return _rewritten(lambda entries: [(name, content if name.endswith("data.pkl") else old) for name, old in entries])


def _false_directory() -> bytes:
    """Every size in the central directory is four billion bytes."""
    content = bytearray(_saved())
    start = 0
    while (start := content.find(b"PK\x01\x02", start)) >= 0:
        struct.pack_into("<II", content, start + 20, 0xFFFFFFF0, 0xFFFFFFF0)
        start += 46
    return bytes(content)


def _false_local_headers() -> bytes:
    content = bytearray(_saved())
    start = 0
    while (start := content.find(b"PK\x03\x04", start)) >= 0:
        struct.pack_into("<II", content, start + 18, 0xFFFFFFF0, 0xFFFFFFF0)
        struct.pack_into("<HH", content, start + 26, 0xFFFF, 0xFFFF)
        start += 30
    return bytes(content)


def _offsets_out_of_range() -> bytes:
    content = bytearray(_saved())
    start = 0
    while (start := content.find(b"PK\x01\x02", start)) >= 0:
        struct.pack_into("<I", content, start + 42, 0x7FFFFFFF)
        start += 46
    return bytes(content)


def _duplicated(entries: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [*entries, *((name, b"\0" * len(content)) for name, content in entries)]


def _rebuilt(storage_count: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """A tensor of any stated shape over the first storage of the file."""

    class Tensor:
        def __reduce__(self) -> Any:
            import collections

            return _rebuild_tensor_v2, (Storage(), offset, size, stride, False, collections.OrderedDict())

    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, given: Any) -> Any:
            return ("storage", torch.FloatStorage, "0", "cpu", storage_count) if isinstance(given, Storage) else None

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump({"conv1.weight": Tensor()})
    return _pickled_as(buffer.getvalue())


def _nested() -> bytes:
    return _pickled_as(b"\x80\x02" + b"(" * NESTING + b"t" * NESTING + b".")


def _billion_laughs() -> bytes:
    """Forty levels of lists of ten references each (the billion laughs attack)."""
    inner: list[Any] = ["x"] * 10
    for _ in range(40):
        inner = [inner] * 10
    return _pickled_as(pickle.dumps({"model": inner}, 2))


def _allocation(name: bytes) -> bytes:
    """An allowed constructor, called with a size of a terabyte."""
    return _pickled_as(b"\x80\x02c__builtin__\n" + name + b"\n" + b"\x8a\x06" + (1 << 40).to_bytes(6, "little") + b"\x85R.")


_TORCH: dict[str, Callable[[], bytes]] = {
    "compressed entries": lambda: _rewritten(lambda entries: entries, zipfile.ZIP_DEFLATED),
    "a bomb among the entries": lambda: _rewritten(
        lambda entries: [*entries, ("archive/data/9", bytes(300_000_000))], zipfile.ZIP_DEFLATED
    ),
    "false sizes in the central directory": _false_directory,
    "false sizes in local headers": _false_local_headers,
    "offsets beyond the file": _offsets_out_of_range,
    "duplicate names": lambda: _rewritten(_duplicated),
    "many entries": lambda: _rewritten(lambda entries: [*entries, *((f"archive/data/x{n}", b"") for n in range(MANY_ENTRIES))]),
    "path traversal": lambda: _rewritten(lambda entries: [*entries, ("../../../../tmp/evil", b"x")]),
    "truncated": lambda: _saved()[:-100],
    "truncated in the middle": lambda: _saved()[: len(_saved()) // 2],
    "only an end record": lambda: b"PK\x05\x06" + bytes(18),
    "no top folder": lambda: _rewritten(lambda entries: [(name.partition("/")[2], content) for name, content in entries]),
    "larger than its storage": lambda: _rebuilt(108, 0, (1 << 20, 1 << 20), (1 << 20, 1)),
    "overflowing shape": lambda: _rebuilt(108, 0, (1 << 40, 1 << 40), (1, 1)),
    "negative shape": lambda: _rebuilt(108, 0, (-4, 3), (3, 1)),
    "before its storage": lambda: _rebuilt(108, -1000, (4,), (1,)),
    "one value a billion times": lambda: _rebuilt(108, 0, (1 << 30,), (0,)),
    "storage larger than its entry": lambda: _rebuilt(1 << 40, 0, (4,), (1,)),
    "deeply nested": _nested,
    "lists of lists": _billion_laughs,
    "bytearray of a terabyte": lambda: _allocation(b"bytearray"),
    "list of a terabyte": lambda: _allocation(b"list"),
    "string of an exabyte": lambda: _pickled_as(b"\x80\x04\x8d" + (1 << 60).to_bytes(8, "little") + b"abc."),
    "memo of a billion": lambda: _pickled_as(b"\x80\x02]r" + (0x7FFFFFFF).to_bytes(4, "little") + b"."),
    "an integer of megabytes": lambda: _pickled_as(b"\x80\x02\x8b" + (8_000_000).to_bytes(4, "little") + b"\x7f" * 8_000_000 + b"."),
    "empty pickle": lambda: _pickled_as(b""),
    "noise in place of a pickle": lambda: _pickled_as(bytes(range(256)) * 64),
    "a number in place of weights": lambda: _pickled_as(pickle.dumps(7, 2)),
}


def _header(header: Any, data: bytes = b"", *, length: int | None = None) -> bytes:
    written = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(written) if length is None else length) + written + data


def _tensor(*shape: int, offsets: tuple[int, int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def _tiny_tensors() -> bytes:
    entries = (f'"t{n}":{{"dtype":"U8","shape":[1],"data_offsets":[{n},{n + 1}]}}' for n in range(MANY_TENSORS))
    return _header(("{" + ",".join(entries) + "}").encode(), bytes(MANY_TENSORS))


_ONE_BYTE = b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}'
_SAFETENSORS: dict[str, Callable[[], bytes]] = {
    "header longer than any file": lambda: _header({}, length=(1 << 63) - 1),
    "header of all ones": lambda: _header({}, length=(1 << 64) - 1),
    "header of a gigabyte": lambda: _header(b"{" + b" " * 200_000_000 + b"}"),
    "nested header": lambda: _header(b'{"a":' * NESTING + b"1" + b"}" * NESTING),
    "overlapping offsets": lambda: _header({"a": _tensor(2, offsets=(0, 8)), "b": _tensor(2, offsets=(4, 12))}, bytes(12)),
    "offsets out of range": lambda: _header({"a": _tensor(2, offsets=(1000, 1008))}, bytes(8)),
    "offsets backwards": lambda: _header({"a": _tensor(2, offsets=(8, 0))}, bytes(8)),
    "offsets too large": lambda: _header({"a": _tensor(1 << 40, 1 << 40, offsets=(0, (1 << 64) - 1))}, bytes(8)),
    "shape that overflows": lambda: _header({"a": _tensor(1 << 62, 4, offsets=(0, 0))}),
    "shape unlike its bytes": lambda: _header({"a": _tensor(3, offsets=(0, 8))}, bytes(8)),
    "unknown type": lambda: _header({"a": _tensor(2, offsets=(0, 8), dtype="F7")}, bytes(8)),
    "duplicate names in the header": lambda: _header(b"{" + b",".join([_ONE_BYTE] * 2) + b"}", b"\0"),
    "metadata of numbers": lambda: _header({"__metadata__": {"a": 1}}),
    "header of text": lambda: _header(b'"{"'),
    "bytes after the data": lambda: save(_weights()) + bytes(1000),
    "not UTF-8": lambda: _header(b'{"\xff\xfe": 1}'),
    "names with markup": lambda: save({"<script>alert(1)</script>\u202e\x1b[2J" + "x" * 10_000: torch.ones(2)}),
    "a million tensors": _tiny_tensors,
    "no tensors": lambda: _header({}),
    "empty tensors": lambda: save({f"e{n}": torch.zeros(0) for n in range(10)}),
}

_BOMBS = {"many entries", "a million tensors", "header of a gigabyte", "a bomb among the entries", "an integer of megabytes"}
