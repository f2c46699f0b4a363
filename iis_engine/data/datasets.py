"""Read class folders as a labelled image data set: check every file, split, sort by content, compute the digest."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from iis_engine.data.class_folders import ClassImage, Split, find_class_images
from iis_engine.data.images import load_image
from iis_engine.errors import DataError, first_names
from iis_engine.notes import Notes
from iis_engine.progress import ProgressCallback, no_progress

CORRUPT_SHARE_MAX = 0.01
_READ_BYTES = 1 << 20
_CHECK_BATCH_FILES = 4096


class LabelledImage(NamedTuple):
    """An image file and its class index."""

    path: Path
    label: int


@dataclass(frozen=True)
class ImageDataset:
    """Labelled images in a train and a test split, sorted by class and content: file names and their order have no effect.

    Attributes
    ----------
    root : folder that contains every path
    train, test : images with labels 0..C-1
    train_digests : sha256 of the bytes of each training file
    class_names : C names in label order
    digest : sha256 over class names, contents and split
    corrupt : files that could not be decoded, relative to `root`
    ignored_count : files that are not images
    warnings : reasons why a score of these images may mislead, one sentence each
    notes : what was assumed, chosen, converted or left out while the images were read, one sentence each
    """

    root: Path
    train: tuple[LabelledImage, ...]
    test: tuple[LabelledImage, ...]
    train_digests: tuple[str, ...]
    class_names: tuple[str, ...]
    digest: str
    corrupt: tuple[str, ...] = ()
    ignored_count: int = 0
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Number of classes, train and test images, corrupt and ignored files."""
        return {
            "classes": len(self.class_names),
            "train": len(self.train),
            "test": len(self.test),
            "corrupt": len(self.corrupt),
            "ignored": self.ignored_count,
        }

    def save(self, path: Path) -> None:
        """Write paths, labels, digests, warnings and notes as JSON, so that the images need not be checked again."""
        contents = {
            "train": [[image.path.relative_to(self.root).as_posix(), image.label] for image in self.train],
            "test": [[image.path.relative_to(self.root).as_posix(), image.label] for image in self.test],
            "train_digests": self.train_digests,
            "class_names": self.class_names,
            "digest": self.digest,
            "corrupt": self.corrupt,
            "ignored_count": self.ignored_count,
            "warnings": self.warnings,
            "notes": self.notes,
        }
        path.write_text(json.dumps(contents), encoding="utf-8")

    @staticmethod
    def load(path: Path, root: Path) -> ImageDataset:
        """Read a file written by `save`.

        Parameters
        ----------
        root : folder that contains the images now
        """
        contents: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        train, test = (tuple(LabelledImage(root / name, label) for name, label in contents[split]) for split in ("train", "test"))
        return ImageDataset(
            root=root,
            train=train,
            test=test,
            train_digests=tuple(contents["train_digests"]),
            class_names=tuple(contents["class_names"]),
            digest=contents["digest"],
            corrupt=tuple(contents["corrupt"]),
            ignored_count=contents["ignored_count"],
            warnings=tuple(contents["warnings"]),
            notes=tuple(contents.get("notes", ())),
        )


class _CheckedImage(NamedTuple):
    image: ClassImage
    digest: str
    readable: bool


def read_image_folder(
    root: Path,
    *,
    test_share: float = 0.2,
    split_seed: int = 0,
    progress: ProgressCallback = no_progress,
) -> ImageDataset:
    """Read class folders, with or without train/ and test/ (or val/) above them; a single wrapping folder is entered.

    Parameters
    ----------
    test_share : share of each class used as the test split if the folders do not define one, in (0, 1)
    split_seed : seed of that split, which depends on the seed and each file's content alone
    progress : called with (files checked, files)

    Raises
    ------
    DataError
        For fewer than two classes, a class without train or test images, or more than 1 % corrupt images.
    """
    if not 0 < test_share < 1:
        raise DataError(f"test_share must lie between 0 and 1; it is {test_share}.", param="test_share")
    if not root.is_dir():
        raise DataError(f"{root.name} is not a folder of class folders.")
    found = find_class_images(root)
    warnings, notes = list(found.warnings), Notes()
    if found.ignored_count:
        notes.add(f"{found.ignored_count} files that are not images of a supported format were left out.")
    class_names = tuple(sorted({image.class_name for image in found.images}))
    if len(class_names) < 2:
        content = f"one class ({class_names[0]})" if class_names else "no images in class folders"
        raise DataError(f"The data set has {content}; send at least two folders of images, one per class.", code="dataset_classes")
    checked = _check_images(found.images, progress)
    corrupt = tuple(item.image.path.relative_to(root).as_posix() for item in checked if not item.readable)
    if len(corrupt) > CORRUPT_SHARE_MAX * len(checked):
        raise too_many_corrupt(corrupt, len(checked))
    if corrupt:
        warnings.append(f"{len(corrupt)} of {len(checked)} images are corrupt and were left out: {first_names(corrupt)}.")
    images = sorted((item for item in checked if item.readable), key=lambda item: (item.image.class_name, item.digest, item.image.path))
    split = _assign_splits(images, test_share, split_seed)
    labels = {name: label for label, name in enumerate(class_names)}
    _require_every_class(images, split, class_names)
    train = [item for item, where in zip(images, split, strict=True) if where == "train"]
    test = [item for item, where in zip(images, split, strict=True) if where == "test"]
    shared = {item.digest for item in train} & {item.digest for item in test}
    if shared:
        warnings.append(f"{len(shared)} images of the test split are also in the train split, so accuracies are too high.")
    return ImageDataset(
        root=root,
        train=tuple(LabelledImage(item.image.path, labels[item.image.class_name]) for item in train),
        test=tuple(LabelledImage(item.image.path, labels[item.image.class_name]) for item in test),
        train_digests=tuple(item.digest for item in train),
        class_names=class_names,
        digest=_dataset_digest(images, split),
        corrupt=corrupt,
        ignored_count=found.ignored_count,
        warnings=tuple(warnings),
        notes=notes.sentences,
    )


def too_many_corrupt(names: Iterable[str], total: int) -> DataError:
    """Return the error for a data set of `total` images of which more than 1 % cannot be decoded."""
    listed = tuple(names)
    return DataError(
        f"{len(listed)} of {total} images cannot be decoded, more than the 1 % allowed: {first_names(listed)}. Replace or remove them.",
        code="dataset_corrupt",
    )


def seeded_rank(seed: int, digest: str) -> str:
    """Return a sort key that depends on the seed and an image's content alone."""
    return hashlib.sha256(f"{seed} {digest}".encode()).hexdigest()


def _check_images(images: Sequence[ClassImage], progress: ProgressCallback) -> list[_CheckedImage]:
    checked = list[_CheckedImage]()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, len(images), _CHECK_BATCH_FILES):
            for item in pool.map(_check_image, images[start : start + _CHECK_BATCH_FILES]):
                checked.append(item)
                progress(len(checked), len(images))
    return checked


def _check_image(image: ClassImage) -> _CheckedImage:
    digest = hashlib.sha256()
    try:
        with image.path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
        load_image(image.path)
    except (DataError, OSError):
        return _CheckedImage(image, digest.hexdigest(), readable=False)
    return _CheckedImage(image, digest.hexdigest(), readable=True)


def _assign_splits(images: list[_CheckedImage], test_share: float, seed: int) -> list[Split]:
    """Return each image's split: its folder's, else by the hash of seed and content within its class."""
    split: list[Split] = [item.image.split or "train" for item in images]
    members: dict[str, list[int]] = {}
    for index, item in enumerate(images):
        if item.image.split is None:
            members.setdefault(item.image.class_name, []).append(index)
    for indices in members.values():
        ranked = sorted(indices, key=lambda index: seeded_rank(seed, images[index].digest))
        if len(indices) > 1:
            test_count = min(max(1, round(test_share * len(indices))), len(indices) - 1)
            for index in ranked[:test_count]:
                split[index] = "test"
    return split


def _require_every_class(images: list[_CheckedImage], split: list[Split], class_names: tuple[str, ...]) -> None:
    present = Counter((item.image.class_name, where) for item, where in zip(images, split, strict=True))
    for where in ("train", "test"):
        absent = [name for name in class_names if not present[name, where]]
        if absent:
            raise DataError(
                f"{len(absent)} of {len(class_names)} classes have no {where} image: {first_names(absent)}. "
                "Every class needs at least one image to train on and one to test on.",
                code="dataset_classes",
            )


def _dataset_digest(images: list[_CheckedImage], split: list[Split]) -> str:
    lines = sorted(json.dumps([item.image.class_name, where, item.digest]) for item, where in zip(images, split, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
