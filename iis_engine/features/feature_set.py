"""Feature matrices of a score: the `FeatureSet`, its file, and reading ready matrices that a user sends."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.data.class_names import bounded_warnings, require_bounded_names
from iis_engine.data.datasets import imbalance
from iis_engine.errors import DataError, SettingError
from iis_engine.features.array_files import StoredArrays, read_arrays
from iis_engine.features.array_names import ARRAY_NAMES, ELEMENTS, choose_arrays
from iis_engine.features.feature_tables import FEATURE_TABLE_SUFFIXES, read_feature_table
from iis_engine.features.label_matrices import checked_label_matrices, rarest_labels_of_splits
from iis_engine.features.ready_matrices import checked_labels, checked_matrix, number_text, renumber, split_rows
from iis_engine.notes import Notes

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
    y_train, y_test : (n,) int64 in 0..C-1; of multi-label data the rarest label of each row among the rows of both splits, by which
        validation rows are stratified, and C for a row without any
    class_names : C names in label order
    elements : (E, d) float32, unnormalised element features in shuffled order, or None
    element_refs : one per element if the elements were cut from images, else empty
    warnings : reasons why a score of these features may mislead, one sentence each
    train_rows, test_rows : (n,) int64, index of each row's image in its split; None for ready matrices
    notes : what was assumed, chosen, converted or left out while the model and the data were read, one sentence each
    labels_train, labels_test : (n, C) uint8 of 0 and 1, all labels of multi-label data; None for single-label data
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
    labels_train: Tensor | None = None
    labels_test: Tensor | None = None

    @property
    def class_count(self) -> int:
        """C."""
        return len(self.class_names)

    @property
    def is_multi_label(self) -> bool:
        """Whether rows have a set of labels in the place of one class."""
        return self.labels_train is not None

    def require_single_label(self, what: str) -> None:
        """Raise a SettingError for multi-label data.

        Parameters
        ----------
        what : that needs one class per image, as the beginning of a sentence
        """
        if self.is_multi_label:
            raise SettingError(f"{what} needs one class per image, and these data are multi-label.", code="multi_label")

    def save(self, path: Path) -> None:
        """Write one safetensors file with names, references, warnings and notes in its header."""
        tensors = {name: getattr(self, name).contiguous() for name in ARRAY_NAMES}
        if self.labels_train is not None and self.labels_test is not None:
            tensors |= {"y_train": self.labels_train.contiguous(), "y_test": self.labels_test.contiguous()}
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
        features = _read(path, 0.2, 0)
        with safe_open(path, framework="pt") as file:
            rows = {name: file.get_tensor(name) for name in _ROW_NAMES if name in file.keys()}  # noqa: SIM118 (not a mapping)
        return replace(features, **rows)


def read_features(path: Path, *, test_share: float = 0.2, split_seed: int = 0) -> FeatureSet:
    """Read ready matrices from a file.

    Parameters
    ----------
    path : npz, safetensors or pt file, npy files in a zip, tar or folder, or a CSV or Parquet table. It has X_train and X_test (n, d),
        y_train and y_test (n,) of integers or text, or (n, C) of 0 and 1 for multi-label data, or X and y, and optionally the element
        features concepts (E, d); usual other names are recognised. Other arrays are not read. The metadata of a safetensors file may have
        the JSON object `iis` with class_names,
        element_refs, warnings and notes.
    test_share, split_seed : of the split of X and y, as in `read_image_folder`

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
    features = _read(path, test_share, split_seed)
    if features.labels_train is not None and features.labels_test is not None:
        if all(bool((labels.sum(dim=1) == 1).all()) for labels in (features.labels_train, features.labels_test)):
            raise DataError("Each row of y_train and y_test has one 1: the data are not multi-label. Send the number of the column.")
        return replace(features, notes=(*features.notes, "The data are multi-label: y_train and y_test are matrices of 0 and 1."))
    counts = Counter(features.class_names[label] for label in features.y_train.tolist())
    return replace(features, warnings=(*features.warnings, *imbalance(counts)))


def _read(path: Path, test_share: float, split_seed: int) -> FeatureSet:
    stored = _read_stored(path)
    arrays, header, notes = stored.arrays, stored.header, Notes(stored.notes)
    if "X" in arrays:
        arrays = arrays | split_rows(arrays["X"], arrays["y"], test_share, split_seed)
        notes.add(f"The file has no split, so that {test_share:.0%} of each class became the test split.")
    X_train, X_test = (checked_matrix(arrays[name], name) for name in ("X_train", "X_test"))
    if arrays["y_train"].ndim == 2:
        return _multi_label(arrays, header, notes, X_train, X_test)
    text_names, (labels_train, labels_test) = number_text(arrays["y_train"], arrays["y_test"])
    y_train, y_test = checked_labels(labels_train, "y_train"), checked_labels(labels_test, "y_test")
    elements = _elements(arrays, (X_train, y_train), (X_test, y_test))
    values, (y_train, y_test) = renumber(y_train, y_test)
    names = _strings(header.get("class_names", [text_names[value] if text_names else str(value) for value in values]), "class_names")
    if len(names) != len(values):
        raise DataError(f"class_names in the file's metadata lists {len(names)} names, but there are {len(values)} classes.")
    require_bounded_names(names)
    return FeatureSet(X_train, y_train, X_test, y_test, names, elements, *_described(header, elements), notes=_notes(header, notes))


def _multi_label(arrays: dict[str, NDArray[Any]], header: dict[str, Any], notes: Notes, X_train: Tensor, X_test: Tensor) -> FeatureSet:
    """The features of multi-label data, whose labels are matrices of 0 and 1."""
    numbers = range(arrays["y_train"].shape[1])
    names = _strings(header.get("class_names", [str(number) for number in numbers]), "class_names")
    require_bounded_names(names)
    train, test, found = checked_label_matrices(arrays["y_train"], arrays["y_test"], names)
    elements = _elements(arrays, (X_train, train), (X_test, test))
    y_train, y_test = rarest_labels_of_splits(train, test)
    refs, warnings = _described(header, elements)
    warnings = tuple(dict.fromkeys((*warnings, *found)))
    return FeatureSet(
        *(X_train, y_train, X_test, y_test, names, elements, refs, warnings),
        notes=_notes(header, notes),
        labels_train=train,
        labels_test=test,
    )


def _elements(arrays: dict[str, NDArray[Any]], train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> Tensor | None:
    """The element features; raise a DataError where rows and labels, or widths, do not match."""
    for (X, y), split in ((train, "train"), (test, "test")):
        if len(X) != len(y):
            raise DataError(f"X_{split} has {len(X)} rows but y_{split} has {len(y)} labels.")
    elements = checked_matrix(arrays[ELEMENTS], ELEMENTS) if ELEMENTS in arrays else None
    for name, matrix in (("X_test", test[0]), (ELEMENTS, elements)):
        if matrix is not None and matrix.shape[1] != train[0].shape[1]:
            raise DataError(f"{name} has {matrix.shape[1]} columns but X_train has {train[0].shape[1]}.")
    return elements


def _described(header: dict[str, Any], elements: Tensor | None) -> tuple[tuple[ElementRef, ...], tuple[str, ...]]:
    """Element references and warnings of a file's metadata."""
    refs = _references(header.get("element_refs", []), 0 if elements is None else len(elements))
    return refs, bounded_warnings(_strings(header.get("warnings", []), "warnings"))


def _notes(header: dict[str, Any], notes: Notes) -> tuple[str, ...]:
    notes.extend(_strings(header.get("notes", []), "notes"))
    return notes.sentences


def _read_stored(path: Path) -> StoredArrays:
    if path.suffix.lower() in FEATURE_TABLE_SUFFIXES:
        table = read_feature_table(path)
        return StoredArrays(table.arrays, {}, table.notes)
    return read_arrays(path, choose_arrays)


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
