"""Read arrays of plain numbers from npz and safetensors files; reject pickled arrays and headers that claim more than the file contains."""

from __future__ import annotations

import json
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from iis_engine.errors import DataError

_READ_BYTES = 1 << 20
_READ_ERRORS = (
    *(SafetensorError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError),
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, KeyError, OverflowError, RuntimeError),
)


def read_arrays(path: Path, choose: Callable[[Iterable[str]], list[str]]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read the arrays of an npz or safetensors file and, of the latter, the JSON object under `iis` in its metadata.

    Parameters
    ----------
    choose : function from the names in the file to those to read; it may raise a DataError

    Raises
    ------
    DataError
        For a file of another type or a damaged one, a pickled array, and metadata that is not a JSON object.
    """
    try:
        if zipfile.is_zipfile(path):
            return _read_npz(path, choose), {}
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("iis", "{}"))
            arrays = {name: file.get_tensor(name).numpy() for name in choose(file.keys())}
    except _READ_ERRORS as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise DataError(
            f"{path.name} is not a readable features file ({reason}); send an npz or safetensors file of plain number arrays."
        ) from error
    if not isinstance(header, dict):
        raise DataError(f"The iis metadata of {path.name} must be a JSON object with class_names; leave it out to name classes by label.")
    return arrays, cast("dict[str, Any]", header)


def _read_npz(path: Path, choose: Callable[[Iterable[str]], list[str]]) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        arrays = dict[str, NDArray[Any]]()
        for name in choose(members):
            with archive.open(members[name]) as stream:
                arrays[name] = _read_npy(stream, name, members[name].file_size)
        return arrays


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
