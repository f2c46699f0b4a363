"""The feature matrices a score is computed from, and their files. Nothing here runs a network."""

from __future__ import annotations

import json
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.errors import DataError

ARRAY_NAMES = ("X_train", "y_train", "X_test", "y_test")
ELEMENT_NAMES = ("concepts", "elements")  # either name may carry the element features
ROW_NAMES = ("train_rows", "test_rows")
_READ_BYTES = 1 << 20
_DAMAGE = (
    *(SafetensorError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError),
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, KeyError, OverflowError, RuntimeError),
)


@dataclass(frozen=True)
class ElementRef:
    """Where a visual element was cut from: a training image and a box in its upright pixels."""

    image: int  # index into the training split
    box: tuple[int, int, int, int]  # left, top, right, bottom in pixels
    kind: str  # patch or segment


@dataclass(frozen=True)
class FeatureSet:
    """Representation f(x) of both splits, and of the visual elements.

    Attributes
    ----------
    X_train, X_test : (n, d) float32 on the CPU
    y_train, y_test : (n,) int64 in 0..C-1
    class_names : C names in label order
    elements : (E, d) float32, unnormalised element features in shuffled order, or None
    element_refs : one per element when the elements were cut from images, else empty
    train_rows, test_rows : (n,) int64, which image of its split each row is, so that rows of two networks can be matched and a row can be
        shown; None for ready matrices
    """

    X_train: Tensor
    y_train: Tensor
    X_test: Tensor
    y_test: Tensor
    class_names: tuple[str, ...]
    elements: Tensor | None = None
    element_refs: tuple[ElementRef, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    train_rows: Tensor | None = None
    test_rows: Tensor | None = None

    @property
    def class_count(self) -> int:
        return len(self.class_names)

    def save(self, path: Path) -> None:
        """Write one safetensors file; names, references and warnings go into its header."""
        tensors = {name: getattr(self, name).contiguous() for name in ARRAY_NAMES}
        tensors |= {name: tensor.contiguous() for name in ("elements", *ROW_NAMES) if (tensor := getattr(self, name)) is not None}
        header = {
            "class_names": list(self.class_names),
            "element_refs": [[ref.image, list(ref.box), ref.kind] for ref in self.element_refs],
            "warnings": list(self.warnings),
        }
        save_file(tensors, path, metadata={"iis": json.dumps(header)})

    @staticmethod
    def load(path: Path) -> FeatureSet:
        """Read a file written by `save`."""
        features = read_features(path)
        with safe_open(path, framework="pt") as file:
            rows = {name: file.get_tensor(name) for name in ROW_NAMES if name in file.keys()}  # noqa: SIM118 (no mapping)
        return replace(features, **rows)


def read_features(path: Path) -> FeatureSet:
    """Read ready matrices: npz or safetensors with X_train, y_train, X_test, y_test and optionally concepts.

    Labels may be any integers; they are renumbered 0..C-1 in sorted order. Other arrays are not read. Pickled arrays are refused.

    Raises
    ------
    DataError
        For a damaged file, a missing array, a wrong shape, a value that is not finite, labels that leave nothing to learn, or names and
        references that do not fit the labels and elements.
    """
    arrays, header = _read_arrays(path)
    X_train, X_test = (_matrix(arrays[name], name) for name in ("X_train", "X_test"))
    y_train, y_test = (_labels(arrays[name], name) for name in ("y_train", "y_test"))
    for X, y, split in ((X_train, y_train, "train"), (X_test, y_test, "test")):
        if len(X) != len(y):
            raise DataError(f"X_{split} has {len(X)} rows but y_{split} has {len(y)} labels.")
    given = next((arrays[name] for name in ELEMENT_NAMES if name in arrays), None)
    elements = None if given is None else _matrix(given, "concepts")
    for name, matrix in (("X_test", X_test), ("concepts", elements)):
        if matrix is not None and matrix.shape[1] != X_train.shape[1]:
            raise DataError(f"{name} has {matrix.shape[1]} columns but X_train has {X_train.shape[1]}.")
    values, (y_train, y_test) = _renumber(y_train, y_test)
    names = _texts(header.get("class_names", [str(value) for value in values]), "class_names")
    if len(names) != len(values):
        raise DataError(f"class_names in the file's metadata lists {len(names)} names, but the labels name {len(values)} classes.")
    refs = _references(header.get("element_refs", []), 0 if elements is None else len(elements))
    return FeatureSet(X_train, y_train, X_test, y_test, names, elements, refs, _texts(header.get("warnings", []), "warnings"))


def _read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    try:
        if zipfile.is_zipfile(path):
            return _read_npz(path), {}
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("iis", "{}"))
            arrays = {name: file.get_tensor(name).numpy() for name in _wanted(file.keys())}
    except _DAMAGE as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise DataError(
            f"{path.name} is not a readable features file ({reason}); send an npz or safetensors file of plain number arrays."
        ) from error
    if not isinstance(header, dict):
        raise DataError(f"The iis metadata of {path.name} must be a JSON object with class_names; leave it out to name classes by label.")
    return arrays, cast("dict[str, Any]", header)


def _wanted(names: Iterable[str]) -> list[str]:
    """The arrays to read of those that a file holds."""
    held = list(names)
    missing = [name for name in ARRAY_NAMES if name not in held]
    if missing:
        raise DataError(f"The features file lacks {', '.join(missing)}; it holds {', '.join(sorted(held)) or 'nothing'}.")
    return [*ARRAY_NAMES, *[name for name in ELEMENT_NAMES if name in held][:1]]


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        arrays = dict[str, NDArray[Any]]()
        for name in _wanted(members):
            with archive.open(members[name]) as stream:
                arrays[name] = _read_npy(stream, name, members[name].file_size)
        return arrays


def _read_npy(stream: IO[bytes], name: str, size_bytes: int) -> NDArray[Any]:
    """An array whose memory grows with the bytes that are there, not with what its header claims as `np.load`'s would."""
    versions = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(stream)
    if version not in versions:
        raise ValueError(f"{name} is not an array of plain numbers")
    shape, in_columns, dtype = versions[version](stream)
    if dtype.hasobject:
        raise ValueError(f"{name} is a pickled array, and unpickling runs code")
    claimed_bytes = math.prod(shape) * dtype.itemsize
    content = bytearray()
    if claimed_bytes <= size_bytes:
        while len(content) <= claimed_bytes and (chunk := stream.read(_READ_BYTES)):
            content += chunk
    if len(content) != claimed_bytes:
        raise ValueError(f"{name} claims {claimed_bytes} bytes of numbers, which the file does not hold")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if in_columns else "C")


def _texts(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(_is_text(entry) for entry in cast("list[object]", value)):
        raise DataError(f"{name} in the file's metadata must be a list of texts in Unicode without null characters.")
    return tuple(cast("list[str]", value))


def _is_text(entry: object) -> bool:
    """Whether a database takes it: JSON can also escape null characters and lone surrogates."""
    return isinstance(entry, str) and not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in entry)


def _references(value: object, element_count: int) -> tuple[ElementRef, ...]:
    try:
        refs = tuple(ElementRef(int(image), _box(box), str(kind)) for image, box, kind in cast("list[Any]", value))
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError("element_refs in the file's metadata must list [image, [left, top, right, bottom], kind] per element.") from error
    if refs and len(refs) != element_count:
        raise DataError(f"element_refs in the file's metadata lists {len(refs)} elements, but the file holds {element_count}.")
    return refs


def _box(sides: Iterable[Any]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (int(side) for side in sides)
    return left, top, right, bottom


def _matrix(array: NDArray[Any], name: str) -> Tensor:
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(f"{name} must be a matrix with rows and columns; its shape is {array.shape}.")
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise DataError(f"{name} must hold real numbers; its type is {array.dtype}.")
    matrix = array.astype(np.float32)
    if not np.isfinite(matrix).all():
        raise DataError(f"{name} holds {int((~np.isfinite(matrix)).sum())} values that are not finite numbers.")
    return torch.from_numpy(matrix)


def _labels(array: NDArray[Any], name: str) -> Tensor:
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"{name} must be one whole number per row; its shape is {array.shape}, its type {array.dtype}.")
    if array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise DataError(f"{name} holds the label {int(array.max())}; send labels of at most 63 bits.")
    return torch.from_numpy(array.astype(np.int64))


def _renumber(y_train: Tensor, y_test: Tensor) -> tuple[list[int], tuple[Tensor, Tensor]]:
    values = torch.unique(y_train)
    if len(values) < 2:
        raise DataError("The training labels name one class; a score needs at least two classes.")
    unknown = sorted(set(y_test.tolist()) - set(values.tolist()))
    if unknown:
        raise DataError(f"Test labels {unknown[:5]} do not occur among the training labels.")
    absent = sorted(set(values.tolist()) - set(y_test.tolist()))
    if absent:
        raise DataError(f"Classes {absent[:5]} have no test row; every class needs at least one.")
    return values.tolist(), (torch.searchsorted(values, y_train), torch.searchsorted(values, y_test))
