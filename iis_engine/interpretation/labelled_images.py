"""Read labelled images one by one from a Dataset, a DataLoader, any iterable of pairs, or a folder of class folders."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from PIL import Image
from torch import Tensor

from iis_engine.data.datasets import read_image_folder
from iis_engine.data.decoding.images import load_image
from iis_engine.data.folders.folder_tree import read_folder_tree
from iis_engine.data.labelled_images import find_labelled_images
from iis_engine.errors import DataError

Picture = Tensor | Image.Image
"""An image of a source: a tensor (channels, H, W) or an image of Pillow."""

_PAIR = "Each item must be (image, label), with a tensor (channels, H, W) or a PIL image; a DataLoader gives batches of these."

_SINGLE_LABEL = "A notebook's classifier needs one class per image, and these data are multi-label; score them with score() or the service."


class ClassKey(NamedTuple):
    """A class: its place in the order of classes, and its name."""

    place: int
    name: str


class LabelledPicture(NamedTuple):
    """An image, its class, and the sha256 of its content."""

    image: Picture
    label: ClassKey
    digest: str


@dataclass(frozen=True)
class LabelledImages:
    """Images that can be iterated over, each with its class.

    Attributes
    ----------
    iterate : returns an iterator over the images
    count : their number; None if it is not known before
    transform : the preprocessing that the source applies itself, such as `dataset.transform`; None if unknown
    """

    iterate: Callable[[], Iterator[LabelledPicture]]
    count: int | None
    transform: object | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_images(source: object) -> LabelledImages:
    """Read a Dataset, a DataLoader, an iterable of (image, label) pairs, or a folder of class folders.

    Labels are whole numbers, which the source's `classes` names, or texts. A DataLoader is iterated over once, in its order, so that
    its collation, shuffling and random transforms apply.

    Raises
    ------
    DataError
        For a folder with splits inside, and, while iterating, for an item of another form.
    """
    if isinstance(source, (str, Path)):
        return _read_folder(Path(source))
    dataset = _innermost(source)
    names = _class_names(source)
    return LabelledImages(lambda: _pairs(source, names), _count(source), transform=getattr(dataset, "transform", None))


def read_split_folder(folder: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read both splits of one folder; a folder without splits is divided as `read_image_folder` does."""
    dataset = read_image_folder(folder)
    if dataset.is_multi_label:
        raise DataError(_SINGLE_LABEL, code="multi_label")
    names = dataset.class_names
    grey_bits = dataset.grey_bits

    def split(images: Sequence[tuple[Path, int]]) -> LabelledImages:
        listed = [(path, ClassKey(label, names[label])) for path, label in images]
        return LabelledImages(lambda: _files(listed, grey_bits), len(listed), warnings=dataset.warnings, notes=dataset.notes)

    return split(dataset.train), split(dataset.test)


def _read_folder(folder: Path) -> LabelledImages:
    if not folder.is_dir():
        raise DataError(f"{folder.name} is not a folder of class folders.")
    found = find_labelled_images(read_folder_tree(folder), None)
    if any(image.labels is not None for image in found.images):
        raise DataError(_SINGLE_LABEL, code="multi_label")
    if any(image.split is not None for image in found.images):
        raise DataError(
            f"{folder.name} has its own splits; give it alone as train, or give the folders of its training and its test images."
        )
    listed = sorted((image.path, ClassKey(0, image.class_name)) for image in found.images)
    return LabelledImages(lambda: _files(listed, None), len(listed), warnings=found.warnings, notes=found.notes)


def _files(images: Iterable[tuple[Path, ClassKey]], grey_bits: int | None) -> Iterator[LabelledPicture]:
    for path, label in images:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        yield LabelledPicture(load_image(path, grey_bits), label, digest)


def _pairs(source: object, names: Sequence[str] | None) -> Iterator[LabelledPicture]:
    for item in _items(source):
        if isinstance(item, Mapping) or not isinstance(item, Sequence) or len(cast("Sequence[object]", item)) < 2:
            raise DataError(f"{_PAIR} An item is of type {type(cast(object, item)).__name__}.")
        images, labels = cast("Sequence[Any]", item)[:2]
        is_batch = isinstance(images, (list, tuple)) or (isinstance(images, Tensor) and images.ndim == 4)
        for image, label in zip(images, labels, strict=True) if is_batch else [(images, labels)]:
            if not isinstance(image, (Tensor, Image.Image)):
                raise DataError(f"{_PAIR} An image is of type {type(image).__name__}.")
            yield LabelledPicture(image, _class_key(label, names), _digest(image))


def _items(source: object) -> Iterator[object]:
    """Items of an iterable, or of a Dataset that has only a length and an index."""
    if hasattr(source, "__iter__"):
        return iter(cast("Iterable[object]", source))
    if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        dataset = cast("Sequence[object]", source)
        return (dataset[index] for index in range(len(dataset)))
    raise DataError(f"{type(source).__name__} is not a source of images; give a Dataset, a DataLoader, or a folder. {_PAIR}")


def _class_key(label: object, names: Sequence[str] | None) -> ClassKey:
    value: object = label.item() if isinstance(label, (Tensor, np.generic)) and np.ndim(cast(Any, label)) == 0 else label
    if isinstance(value, str):
        return ClassKey(0, value)
    if not isinstance(value, Integral):
        raise DataError(f"A label must be one whole number or a text; {label!r} is of type {type(label).__name__}.")
    number = int(value)
    return ClassKey(number, names[number] if names is not None and 0 <= number < len(names) else str(number))


def _digest(image: Picture) -> str:
    content = image.detach().cpu().contiguous().numpy().tobytes() if isinstance(image, Tensor) else image.tobytes()
    return hashlib.sha256(content).hexdigest()


def _innermost(source: object) -> object:
    """The data set behind loaders and subsets."""
    while (inner := getattr(source, "dataset", None)) is not None:
        source = inner
    return source


def _class_names(source: object) -> Sequence[str] | None:
    classes = getattr(_innermost(source), "classes", None)
    is_list = isinstance(classes, (list, tuple)) and all(isinstance(name, str) for name in cast("Sequence[object]", classes))
    return cast("Sequence[str]", classes) if is_list else None


def _count(source: object) -> int | None:
    """The number of images of a data set or of a loader's data set."""
    counted = getattr(source, "dataset", source)
    try:
        return len(cast("Sequence[object]", counted))
    except TypeError:
        return None
