"""Class folders become a labelled data set: which images, which split, which digest. Pixels are checked here and used elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from iis_engine.data.images import SUFFIXES, load_image
from iis_engine.errors import DataError
from iis_engine.progress import ProgressCallback, no_progress

CORRUPT_SHARE_MAX = 0.01
NAMED_AT_MOST = 5
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")
_READ_BYTES = 1 << 20
_CHECKED_TOGETHER = 4096


class LabelledImage(NamedTuple):
    """An image file and the index of its class."""

    path: Path
    label: int


@dataclass(frozen=True)
class ImageDataset:
    """Labelled images in two splits, ordered by class and content, so that names and the order of files decide nothing.

    Attributes
    ----------
    root : the folder that all paths lie under
    train, test : images with labels 0..C-1
    train_digests : sha256 of the bytes of each training file
    class_names : C names in label order
    digest : sha256 over class names, contents and split
    corrupt : files that could not be decoded, relative to `root`
    ignored_count : files that are no images
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

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of classes, train and test images, corrupt and ignored files."""
        return {
            "classes": len(self.class_names),
            "train": len(self.train),
            "test": len(self.test),
            "corrupt": len(self.corrupt),
            "ignored": self.ignored_count,
        }

    def save(self, path: Path) -> None:
        """Write the reading as JSON, so that the images need not be checked again."""
        reading = {
            "train": [[image.path.relative_to(self.root).as_posix(), image.label] for image in self.train],
            "test": [[image.path.relative_to(self.root).as_posix(), image.label] for image in self.test],
            "train_digests": self.train_digests,
            "class_names": self.class_names,
            "digest": self.digest,
            "corrupt": self.corrupt,
            "ignored_count": self.ignored_count,
            "warnings": self.warnings,
        }
        path.write_text(json.dumps(reading), encoding="utf-8")

    @staticmethod
    def load(path: Path, root: Path) -> ImageDataset:
        """Read what `save` wrote; the images lie under `root`."""
        reading: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        train, test = (tuple(LabelledImage(root / name, label) for name, label in reading[split]) for split in ("train", "test"))
        return ImageDataset(
            root=root,
            train=train,
            test=test,
            train_digests=tuple(reading["train_digests"]),
            class_names=tuple(reading["class_names"]),
            digest=reading["digest"],
            corrupt=tuple(reading["corrupt"]),
            ignored_count=reading["ignored_count"],
            warnings=tuple(reading["warnings"]),
        )


class _Found(NamedTuple):
    path: Path
    class_name: str
    split: str | None


class _Checked(NamedTuple):
    found: _Found
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
    test_share : the share of each class that becomes the test split when the folders do not say.
    split_seed : decides, with each file's content, which images these are.

    Raises
    ------
    DataError
        For no or one class, a class without train or test images, or more than 1 % corrupt images.
    """
    if not 0 < test_share < 1:
        raise DataError(f"test_share must lie between 0 and 1; it is {test_share}.", param="test_share")
    if not root.is_dir():
        raise DataError(f"{root.name} is not a folder of class folders.")
    top = _descend(root)
    found, ignored_count, warnings = _find(top, root)
    class_names = tuple(sorted({item.class_name for item in found}))
    if len(class_names) < 2:
        what = f"one class ({class_names[0]})" if class_names else "no images in class folders"
        raise DataError(f"The data set holds {what}; send at least two folders of images, one per class.", code="dataset_classes")
    checked = _check(found, progress)
    corrupt = tuple(item.found.path.relative_to(root).as_posix() for item in checked if not item.readable)
    if len(corrupt) > CORRUPT_SHARE_MAX * len(checked):
        raise too_many_corrupt(corrupt, len(checked))
    if corrupt:
        warnings.append(f"{len(corrupt)} of {len(checked)} images are corrupt and were left out: {_first(corrupt)}.")
    images = sorted((item for item in checked if item.readable), key=lambda item: (item.found.class_name, item.digest, item.found.path))
    split = _split_of(images, test_share, split_seed)
    labels = {name: label for label, name in enumerate(class_names)}
    _require_every_class(images, split, class_names)
    train = [item for item, where in zip(images, split, strict=True) if where == "train"]
    test = [item for item, where in zip(images, split, strict=True) if where == "test"]
    shared = {item.digest for item in train} & {item.digest for item in test}
    if shared:
        warnings.append(f"{len(shared)} images of the test split are also in the train split, so accuracies are flattered.")
    return ImageDataset(
        root=root,
        train=tuple(LabelledImage(item.found.path, labels[item.found.class_name]) for item in train),
        test=tuple(LabelledImage(item.found.path, labels[item.found.class_name]) for item in test),
        train_digests=tuple(item.digest for item in train),
        class_names=class_names,
        digest=_dataset_digest(images, split),
        corrupt=corrupt,
        ignored_count=ignored_count,
        warnings=tuple(warnings),
    )


def too_many_corrupt(names: Iterable[str], total: int) -> DataError:
    """The refusal of a data set of which more than 1 % cannot be decoded."""
    listed = tuple(names)
    return DataError(
        f"{len(listed)} of {total} images cannot be decoded, more than the 1 % that is tolerated: {_first(listed)}. "
        "Replace or remove them.",
        code="dataset_corrupt",
    )


def _first(names: tuple[str, ...]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__MACOSX")))


def _descend(root: Path) -> Path:
    top = root
    while True:
        inner = _folders(top)
        loose = any(entry.is_file() and entry.suffix.lower() in SUFFIXES for entry in top.iterdir())
        if len(inner) != 1 or loose or not _folders(inner[0]) or inner[0].name.lower() in TRAIN_NAMES:
            return top
        top = inner[0]


def _find(top: Path, root: Path) -> tuple[list[_Found], int, list[str]]:
    by_name = {folder.name.lower(): folder for folder in _folders(top)}
    train = next((by_name[name] for name in TRAIN_NAMES if name in by_name), None)
    tests = [by_name[name] for name in TEST_NAMES if name in by_name and _folders(by_name[name])]
    warnings = list[str]()
    if train is None or not _folders(train):
        sources: list[tuple[Path, str | None]] = [(top, None)]
    elif tests:
        sources = [(train, "train"), (tests[0], "test")]
        if len(tests) > 1:
            warnings.append(f"{tests[0].name} was used as the test split; {', '.join(folder.name for folder in tests[1:])} was left out.")
    else:
        sources = [(train, None)]
    found, ignored_count, inside = list[_Found](), 0, root.resolve()
    for source, split in sources:
        ignored_count += sum(entry.is_file() for entry in source.iterdir())
        for class_folder in _folders(source):
            for folder, _, names in os.walk(class_folder):
                for name in names:
                    path = Path(folder) / name
                    is_image = path.suffix.lower() in SUFFIXES and not name.startswith(".")
                    if is_image and path.resolve().is_relative_to(inside):
                        found.append(_Found(path, class_folder.name, split))
                    else:
                        ignored_count += 1
    return found, ignored_count, warnings


def _check(found: list[_Found], progress: ProgressCallback) -> list[_Checked]:
    checked = list[_Checked]()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, len(found), _CHECKED_TOGETHER):
            for item in pool.map(_check_one, found[start : start + _CHECKED_TOGETHER]):
                checked.append(item)
                progress(len(checked), len(found))
    return checked


def _check_one(found: _Found) -> _Checked:
    digest = hashlib.sha256()
    try:
        with found.path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
        load_image(found.path)
    except (DataError, OSError):
        return _Checked(found, digest.hexdigest(), readable=False)
    return _Checked(found, digest.hexdigest(), readable=True)


def _split_of(images: list[_Checked], test_share: float, seed: int) -> list[str]:
    """`train` or `test` for each image: as its folder says, else by the hash of seed and content within its class."""
    split = [item.found.split or "train" for item in images]
    members: dict[str, list[int]] = {}
    for index, item in enumerate(images):
        if item.found.split is None:
            members.setdefault(item.found.class_name, []).append(index)
    for indices in members.values():
        ranked = sorted(indices, key=lambda index: seeded_rank(seed, images[index].digest))
        if len(indices) > 1:
            test_count = min(max(1, round(test_share * len(indices))), len(indices) - 1)
            for index in ranked[:test_count]:
                split[index] = "test"
    return split


def seeded_rank(seed: int, digest: str) -> str:
    """A place in an order that the seed and an image's content decide, whatever the image is called."""
    return hashlib.sha256(f"{seed} {digest}".encode()).hexdigest()


def _require_every_class(images: list[_Checked], split: list[str], class_names: tuple[str, ...]) -> None:
    present = Counter((item.found.class_name, where) for item, where in zip(images, split, strict=True))
    for where in ("train", "test"):
        absent = [name for name in class_names if not present[name, where]]
        if absent:
            raise DataError(
                f"{len(absent)} of {len(class_names)} classes have no {where} image: {_first(tuple(absent))}. "
                "Every class needs at least one image to train on and one to test on.",
                code="dataset_classes",
            )


def _dataset_digest(images: list[_Checked], split: list[str]) -> str:
    lines = sorted(json.dumps([item.found.class_name, where, item.digest]) for item, where in zip(images, split, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
