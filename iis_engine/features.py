"""The feature matrices a score is computed from, and their files. Nothing here runs a network."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.errors import DataError

Progress = Callable[[int, int], None]
"""Called with (done, total) as a stage advances."""

ARRAY_NAMES = ("X_train", "y_train", "X_test", "y_test")
ELEMENT_NAMES = ("concepts", "elements")  # either name may carry the element features


def no_progress(done: int, total: int) -> None:
    """The silent progress callback."""


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
    """

    X_train: Tensor
    y_train: Tensor
    X_test: Tensor
    y_test: Tensor
    class_names: tuple[str, ...]
    elements: Tensor | None = None
    element_refs: tuple[ElementRef, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @property
    def class_count(self) -> int:
        return len(self.class_names)

    def save(self, path: Path) -> None:
        """Write one safetensors file; names, references and warnings go into its header."""
        tensors = {name: getattr(self, name).contiguous() for name in ARRAY_NAMES}
        if self.elements is not None:
            tensors["elements"] = self.elements.contiguous()
        header = {
            "class_names": list(self.class_names),
            "element_refs": [[ref.image, list(ref.box), ref.kind] for ref in self.element_refs],
            "warnings": list(self.warnings),
        }
        save_file(tensors, path, metadata={"iis": json.dumps(header)})

    @staticmethod
    def load(path: Path) -> FeatureSet:
        """Read a file written by `save`, or any features file that `read_features` takes."""
        return read_features(path)


def read_features(path: Path) -> FeatureSet:
    """Read ready matrices: npz or safetensors with X_train, y_train, X_test, y_test and optionally concepts.

    Labels may be any integers; they are renumbered 0..C-1 in sorted order. Pickled arrays are refused.

    Raises
    ------
    DataError
        For a missing array, a wrong shape, a value that is not finite, or labels that leave nothing to learn.
    """
    arrays, header = _read_arrays(path)
    missing = [name for name in ARRAY_NAMES if name not in arrays]
    if missing:
        raise DataError(f"The features file lacks {', '.join(missing)}; it holds {', '.join(sorted(arrays)) or 'nothing'}.")
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
    names = cast("list[str]", header.get("class_names") or [str(value) for value in values])
    refs = tuple(
        ElementRef(image, cast("tuple[int, int, int, int]", tuple(box)), kind) for image, box, kind in header.get("element_refs", [])
    )
    return FeatureSet(X_train, y_train, X_test, y_test, tuple(names), elements, refs, tuple(header.get("warnings", [])))


def _read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    try:
        if zipfile.is_zipfile(path):
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}, {}
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("iis", "{}"))
            return {name: file.get_tensor(name).numpy() for name in file.keys()}, header  # noqa: SIM118 (not a dict)
    except (SafetensorError, ValueError, OSError, zipfile.BadZipFile, TypeError) as error:
        raise DataError(
            f"{path.name} is not a readable features file ({error}); send an npz or safetensors file of plain number arrays."
        ) from error


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
