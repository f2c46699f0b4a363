"""Read arrays of plain numbers from npz, npy in archives or folders, safetensors and torch files.

Pickled arrays, code, and headers that claim more than the file contains are rejected.
"""

from __future__ import annotations

import json
import lzma
import math
import pickle
import struct
import tarfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from iis_engine.errors import DataError, first_line
from iis_engine.features.array_names import ChosenArrays

_READ_BYTES = 1 << 20
_MEMBERS_MAX = 10_000
_READ_ERRORS = (
    *(SafetensorError, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError),
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, RuntimeError),
)

Choose = Callable[[Iterable[str]], ChosenArrays]


class StoredArrays(NamedTuple):
    """Arrays of a file.

    Attributes
    ----------
    arrays : by the names of `ChosenArrays`
    header : the JSON object `iis` in a safetensors file's metadata, else empty
    notes : of the choice, and conversions of number types
    """

    arrays: dict[str, NDArray[Any]]
    header: dict[str, Any]
    notes: tuple[str, ...]


class _Member(NamedTuple):
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    size_bytes: int


def read_arrays(path: Path, choose: Choose) -> StoredArrays:
    """Read the chosen arrays of a file of numbers.

    Parameters
    ----------
    path : an npz, safetensors, pt or pth file, or npy files in a zip, a tar or a folder
    choose : function from the names in the file to those to read; it may raise a DataError

    Raises
    ------
    DataError
        For a file of another type or a damaged one, a pickled array, and metadata that is not a JSON object.
    """
    try:
        if not path.is_dir() and _is_npy(path):
            return _read_members({path.name: _file_member(path)}, choose)
        if path.is_dir():
            return _read_members({file.relative_to(path).as_posix(): _file_member(file) for file in sorted(path.rglob("*.npy"))}, choose)
        if zipfile.is_zipfile(path):
            return _read_zip(path, choose)
        if path.suffix.lower() in (".pt", ".pth"):
            raise ValueError("a torch file must be a zip file of torch 1.6 or later")
        if tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                return _read_members(_tar_members(archive), choose)
        return _read_safetensors(path, choose)
    except _READ_ERRORS as error:
        reason = first_line(error)
        raise DataError(
            f"{path.name} is not a readable features file ({reason}); send an npz or safetensors file of plain number arrays."
        ) from error


def _read_safetensors(path: Path, choose: Choose) -> StoredArrays:
    with safe_open(path, framework="pt") as file:
        header: object = json.loads((file.metadata() or {}).get("iis", "{}"))
        chosen = choose(file.keys())
        tensors = {role: cast(Tensor, file.get_tensor(name)) for role, name in chosen.names.items()}
    if not isinstance(header, dict):
        raise DataError(f"The iis metadata of {path.name} must be a JSON object with class_names; leave it out to name classes by label.")
    return _as_arrays(tensors, chosen, cast("dict[str, Any]", header))


def _as_arrays(tensors: dict[str, Tensor], chosen: ChosenArrays, header: dict[str, Any]) -> StoredArrays:
    """Convert tensors; NumPy has no bfloat16 and no 8-bit floating point."""
    narrow = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values() if _is_narrow(tensor)})
    arrays = {role: (tensor.float() if _is_narrow(tensor) else tensor).numpy() for role, tensor in tensors.items()}
    notes = (f"Features were converted from {' and '.join(narrow)} to float32.",) if narrow else ()
    return StoredArrays(arrays, header, (*chosen.notes, *notes))


def _is_narrow(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64)


def _read_zip(path: Path, choose: Choose) -> StoredArrays:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if len(infos) > _MEMBERS_MAX:
            raise ValueError(f"it has more than {_MEMBERS_MAX:,} members")
        if any(info.filename.split("/")[-1] == "data.pkl" for info in infos):
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise ValueError("a torch file must not be compressed")
            return _read_torch(path, choose)

        def member(info: zipfile.ZipInfo) -> _Member:
            return _Member(lambda: archive.open(info), info.file_size)

        return _read_members({info.filename: member(info) for info in infos if not info.is_dir()}, choose)


def _read_torch(path: Path, choose: Choose) -> StoredArrays:
    """Read a dictionary of plain tensors; `weights_only` unpickles nothing else, and there is no fallback."""
    try:
        stored: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # its message explains how to run the code in the file
        raise ValueError("it holds objects other than tensors") from error
    if not isinstance(stored, dict):
        raise TypeError("a torch file must hold a dictionary of tensors")
    tensors = {str(name): value for name, value in cast("dict[object, object]", stored).items() if isinstance(value, Tensor)}
    chosen = choose(tensors)
    picked = {role: tensors[name] for role, name in chosen.names.items()}
    if any(tensor.layout != torch.strided or tensor.is_quantized for tensor in picked.values()):
        raise TypeError("sparse and quantised tensors are not read")
    return _as_arrays({role: tensor.detach().contiguous() for role, tensor in picked.items()}, chosen, {})


def _is_npy(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX


def _file_member(path: Path) -> _Member:
    return _Member(lambda: path.open("rb"), path.stat().st_size)


def _tar_members(archive: tarfile.TarFile) -> dict[str, _Member]:
    members = dict[str, _Member]()
    while (info := archive.next()) is not None:
        if len(members) > _MEMBERS_MAX:
            raise ValueError(f"it has more than {_MEMBERS_MAX:,} members")
        if info.isfile():
            members[info.name] = _tar_member(archive, info)
    return members


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    return _Member(lambda: closing(cast(IO[bytes], archive.extractfile(info))), info.size)


def _read_members(members: dict[str, _Member], choose: Choose) -> StoredArrays:
    named = {name.removesuffix(".npy"): member for name, member in members.items() if _is_array(name)}
    chosen = choose(named)
    arrays = dict[str, NDArray[Any]]()
    for role, name in chosen.names.items():
        with named[name].open() as stream:
            arrays[role] = _read_npy(stream, name, named[name].size_bytes)
    return StoredArrays(arrays, {}, chosen.notes)


def _is_array(name: str) -> bool:
    return name.endswith(".npy") or "." not in name.rsplit("/", maxsplit=1)[-1]


def _read_npy(stream: IO[bytes], name: str, size_bytes: int) -> NDArray[Any]:
    """Read an array with memory proportional to the bytes in the file; `np.load` reserves the size that the header claims."""
    header_readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(stream)
    if version not in header_readers:
        raise ValueError(f"{name} is not an array of plain numbers")
    shape, is_column_major, dtype = header_readers[version](stream)
    if dtype.hasobject:
        raise ValueError(f"{name} is a pickled array, and unpickling runs code")
    claimed_bytes = math.prod(shape) * dtype.itemsize
    content = bytearray()
    if claimed_bytes <= size_bytes:
        while len(content) <= claimed_bytes and (chunk := stream.read(_READ_BYTES)):
            content += chunk
    if len(content) != claimed_bytes:
        raise ValueError(f"{name} claims {claimed_bytes} bytes of numbers, which the file does not contain")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if is_column_major else "C")
