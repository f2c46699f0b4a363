"""Feature matrices of a score: the `FeatureSet`, its file, and reading ready matrices that a user sends."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.errors import DataError
from iis_engine.features.array_files import read_arrays
from iis_engine.notes import Notes

_ARRAY_NAMES = ("X_train", "y_train", "X_test", "y_test")
_ELEMENT_NAMES = ("concepts", "elements")  # synonyms for the element features
_ROW_NAMES = ("train_rows", "test_rows")

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the upright image."""


@dataclass(frozen=True)
class ElementRef:
    """Source of a visual element.

    Attributes
    ----------
    image : index into the training split
    kind : patch or segment
    """

    image: int
    box: Box
    kind: str


@dataclass(frozen=True)
class FeatureSet:
    """Representation f(x) of both splits and of the visual elements.

    Attributes
    ----------
    X_train, X_test : (n, d) float32 on the CPU
    y_train, y_test : (n,) int64 in 0..C-1
    class_names : C names in label order
    elements : (E, d) float32, unnormalised element features in shuffled order, or None
    element_refs : one per element if the elements were cut from images, else empty
    warnings : reasons why a score of these features may mislead, one sentence each
    train_rows, test_rows : (n,) int64, index of each row's image in its split; None for ready matrices
    notes : what was assumed, chosen, converted or left out while the model and the data were read, one sentence each
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
    notes: tuple[str, ...] = ()

    @property
    def class_count(self) -> int:
        """C."""
        return len(self.class_names)

    def save(self, path: Path) -> None:
        """Write one safetensors file with names, references, warnings and notes in its header."""
        tensors = {name: getattr(self, name).contiguous() for name in _ARRAY_NAMES}
        tensors |= {name: tensor.contiguous() for name in ("elements", *_ROW_NAMES) if (tensor := getattr(self, name)) is not None}
        header = {
            "class_names": list(self.class_names),
            "element_refs": [[ref.image, list(ref.box), ref.kind] for ref in self.element_refs],
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }
        save_file(tensors, path, metadata={"iis": json.dumps(header)})

    @staticmethod
    def load(path: Path) -> FeatureSet:
        """Read a file written by `save`."""
        features = read_features(path)
        with safe_open(path, framework="pt") as file:
            rows = {name: file.get_tensor(name) for name in _ROW_NAMES if name in file.keys()}  # noqa: SIM118 (not a mapping)
        return replace(features, **rows)


def read_features(path: Path) -> FeatureSet:
    """Read ready matrices from an npz or safetensors file.

    Parameters
    ----------
    path : file with X_train and X_test (n, d), y_train and y_test (n,) of any integers, and optionally the element features concepts
        (E, d). Other arrays are not read. The metadata of a safetensors file may have the JSON object `iis` with class_names,
        element_refs, warnings and notes.

    Returns
    -------
    FeatureSet
        With labels renumbered 0..C-1 in sorted order.

    Raises
    ------
    DataError
        For a damaged file, a pickled or missing array, a wrong shape, a value that is not finite, fewer than two classes, a class
        without test rows, and names or references that do not fit the labels and elements.
    """
    arrays, header = read_arrays(path, _required_arrays)
    X_train, X_test = (_matrix(arrays[name], name) for name in ("X_train", "X_test"))
    y_train, y_test = (_labels(arrays[name], name) for name in ("y_train", "y_test"))
    for X, y, split in ((X_train, y_train, "train"), (X_test, y_test, "test")):
        if len(X) != len(y):
            raise DataError(f"X_{split} has {len(X)} rows but y_{split} has {len(y)} labels.")
    element_array = next((arrays[name] for name in _ELEMENT_NAMES if name in arrays), None)
    elements = None if element_array is None else _matrix(element_array, "concepts")
    for name, matrix in (("X_test", X_test), ("concepts", elements)):
        if matrix is not None and matrix.shape[1] != X_train.shape[1]:
            raise DataError(f"{name} has {matrix.shape[1]} columns but X_train has {X_train.shape[1]}.")
    values, (y_train, y_test) = _renumber(y_train, y_test)
    names = _strings(header.get("class_names", [str(value) for value in values]), "class_names")
    if len(names) != len(values):
        raise DataError(f"class_names in the file's metadata lists {len(names)} names, but there are {len(values)} classes.")
    refs = _references(header.get("element_refs", []), 0 if elements is None else len(elements))
    warnings, notes = (_strings(header.get(name, []), name) for name in ("warnings", "notes"))
    return FeatureSet(X_train, y_train, X_test, y_test, names, elements, refs, warnings, notes=Notes(notes).sentences)


def _required_arrays(names: Iterable[str]) -> list[str]:
    """Return the names of the arrays to read."""
    present = list(names)
    missing = [name for name in _ARRAY_NAMES if name not in present]
    if missing:
        raise DataError(f"The features file lacks {', '.join(missing)}; it contains {', '.join(sorted(present)) or 'nothing'}.")
    return [*_ARRAY_NAMES, *[name for name in _ELEMENT_NAMES if name in present][:1]]


def _strings(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(_is_storable(entry) for entry in cast("list[object]", value)):
        raise DataError(f"{name} in the file's metadata must be a list of Unicode strings without null characters.")
    return tuple(cast("list[str]", value))


def _is_storable(entry: object) -> bool:
    """Whether a database can store the string: JSON can escape null characters and lone surrogates."""
    return isinstance(entry, str) and not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in entry)


def _references(value: object, element_count: int) -> tuple[ElementRef, ...]:
    try:
        refs = tuple(ElementRef(int(image), _box(box), str(kind)) for image, box, kind in cast("list[Any]", value))
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError("element_refs in the file's metadata must list [image, [left, top, right, bottom], kind] per element.") from error
    if refs and len(refs) != element_count:
        raise DataError(f"element_refs in the file's metadata lists {len(refs)} elements, but the file contains {element_count}.")
    return refs


def _box(sides: Iterable[Any]) -> Box:
    left, top, right, bottom = (int(side) for side in sides)
    return left, top, right, bottom


def _matrix(array: NDArray[Any], name: str) -> Tensor:
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(f"{name} must be a matrix with rows and columns; its shape is {array.shape}.")
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise DataError(f"{name} must contain real numbers; its type is {array.dtype}.")
    matrix = array.astype(np.float32)
    if not np.isfinite(matrix).all():
        raise DataError(f"{name} contains {int((~np.isfinite(matrix)).sum())} values that are NaN or infinite; remove or replace them.")
    return torch.from_numpy(matrix)


def _labels(array: NDArray[Any], name: str) -> Tensor:
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"{name} must be one integer per row; its shape is {array.shape}, its type {array.dtype}.")
    if array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise DataError(f"{name} contains the label {int(array.max())}; send labels of at most 63 bits.")
    return torch.from_numpy(array.astype(np.int64))


def _renumber(y_train: Tensor, y_test: Tensor) -> tuple[list[int], tuple[Tensor, Tensor]]:
    values = torch.unique(y_train)
    if len(values) < 2:
        raise DataError("The training labels have only one class; a score needs at least two.")
    unknown = sorted(set(y_test.tolist()) - set(values.tolist()))
    if unknown:
        raise DataError(
            f"The test labels {unknown[:5]} do not occur among the training labels; every class needs at least one training row."
        )
    absent = sorted(set(values.tolist()) - set(y_test.tolist()))
    if absent:
        raise DataError(f"Classes {absent[:5]} have no test row; every class needs at least one.")
    return values.tolist(), (torch.searchsorted(values, y_train), torch.searchsorted(values, y_test))
