"""Read files that torch.save wrote before version 1.6: consecutive pickles, then the raw bytes of the storages.

`torch.load` reads this format with the same restricted unpickler as a zip, but allocates each storage with the size that the pickle
claims, uninitialised, and leaves it so if the file does not list it. This reader uses the unpickler alone: storages are zero, claim no
more bytes than the file has, and must all be in the file.
"""

from __future__ import annotations

import struct
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

import torch
from torch import _weights_only_unpickler as restricted
from torch import storage as torch_storage

_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""torch's magic number as a pickle of protocol 2, the only one that the restricted unpickler reads and torch.save writes by default."""
_PROTOCOL_VERSION = 1001


def is_older_torch_format(start: bytes) -> bool:
    """Whether the first bytes of a file are torch's magic number in its older format."""
    return start.startswith(_MAGIC)


def read_older_torch_format(path: Path) -> object:
    """Read the object in a file of the older format.

    Raises
    ------
    pickle.UnpicklingError
        For a pickle of anything but plain containers, numbers, strings and tensors.
    ValueError, EOFError, struct.error
        For a damaged file.
    """
    with path.open("rb") as file:
        restricted.load(file)  # the magic number
        if restricted.load(file) != _PROTOCOL_VERSION:
            raise ValueError("unknown version of the format")
        system = restricted.load(file)
        if not isinstance(system, dict) or cast("dict[str, object]", system).get("little_endian") is not True:
            raise ValueError("the file was written on a big-endian machine")
        storages = _Storages(path.stat().st_size)
        unpickler = cast(Any, restricted.Unpickler(file, encoding="utf-8"))
        unpickler.persistent_load = storages.claim
        stored = unpickler.load()
        storages.fill(file, restricted.load(file))
    return stored


class _Storages:
    """Storages by key: allocated as the pickle claims them, filled from the file afterwards."""

    def __init__(self, file_bytes: int) -> None:
        self._bytes_left = file_bytes
        self._by_key: dict[str, tuple[Any, torch.dtype]] = {}

    def claim(self, saved_id: Any) -> Any:
        """Return the storage of a persistent id (`storage`, type, key, location, number of values, view)."""
        if not isinstance(saved_id, tuple) or len(cast("tuple[Any, ...]", saved_id)) != 6:
            raise ValueError("a storage has an unknown form of id")
        _, storage_type, key, _, count, view = cast("tuple[Any, ...]", saved_id)
        if view is not None:
            raise ValueError("a storage is a view of another one, as torch 0.4 and earlier wrote them")
        key, dtype = str(key), storage_type.dtype
        if key not in self._by_key:
            size_bytes = int(count) * dtype.itemsize
            if not 0 <= size_bytes <= self._bytes_left:
                raise EOFError("the storages claim more values than the file contains")
            self._bytes_left -= size_bytes
            self._by_key[key] = torch.zeros(size_bytes, dtype=torch.uint8).untyped_storage(), dtype
        memory, known_dtype = self._by_key[key]
        if dtype != known_dtype:
            raise ValueError("a storage has two types")
        return torch_storage.TypedStorage(wrap_storage=memory, dtype=dtype, _internal=True)

    def fill(self, file: BufferedReader, keys: Any) -> None:
        """Read each storage's number of values and its bytes, in the order of `keys`."""
        if not isinstance(keys, list) or sorted(map(str, cast("list[object]", keys))) != sorted(self._by_key):
            raise ValueError("the list of storages does not match the tensors")
        for key in cast("list[object]", keys):
            memory, dtype = self._by_key[str(key)]
            (count,) = struct.unpack("<q", file.read(8))
            if count * dtype.itemsize != memory.nbytes():
                raise ValueError("a storage has another size than its tensors")
            if memory.nbytes() and file.readinto(torch.empty(0, dtype=torch.uint8).set_(memory).numpy().data) != memory.nbytes():
                raise EOFError("the file ends before its last storage")
