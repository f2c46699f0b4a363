"""Find the image files of a data set laid out as class folders, and its train and test splits. No file is opened."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from iis_engine.data.images import SUFFIXES

TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")

Split = Literal["train", "test"]


class ClassImage(NamedTuple):
    """An image file, its class folder's name, and its split; the split is None where the folders do not define one."""

    path: Path
    class_name: str
    split: Split | None


@dataclass(frozen=True)
class ClassFolders:
    """Image files of a folder of class folders.

    Attributes
    ----------
    images : every file with an image suffix that lies inside the folder
    ignored_count : files that are not images, and links that leave the folder
    warnings : folders that were left out
    """

    images: tuple[ClassImage, ...]
    ignored_count: int
    warnings: tuple[str, ...]


def find_class_images(root: Path) -> ClassFolders:
    """List the images of class folders, with or without train/ and test/ (or val/) above them.

    A single folder that wraps the class folders is entered. Hidden files and files of other types are counted, not listed.
    """
    top = _enter_wrapping_folders(root)
    sources, warnings = _split_folders(top)
    images, ignored_count, inside = list[ClassImage](), 0, root.resolve()
    for source, split in sources:
        ignored_count += sum(entry.is_file() for entry in source.iterdir())
        for class_folder in _subfolders(source):
            for folder, _, names in os.walk(class_folder):
                for name in names:
                    path = Path(folder) / name
                    if is_image_name(name) and path.resolve().is_relative_to(inside):
                        images.append(ClassImage(path, class_folder.name, split))
                    else:
                        ignored_count += 1
    return ClassFolders(tuple(images), ignored_count, tuple(warnings))


def is_image_name(name: str) -> bool:
    """Whether a file's name has an image suffix and is not hidden."""
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")


def _subfolders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__MACOSX")))


def _enter_wrapping_folders(root: Path) -> Path:
    top = root
    while True:
        inner = _subfolders(top)
        has_images = any(entry.is_file() and entry.suffix.lower() in SUFFIXES for entry in top.iterdir())
        if len(inner) != 1 or has_images or not _subfolders(inner[0]) or inner[0].name.lower() in TRAIN_NAMES:
            return top
        top = inner[0]


def _split_folders(top: Path) -> tuple[list[tuple[Path, Split | None]], list[str]]:
    """Return the folders that contain class folders, each with its split, and warnings."""
    by_name = {folder.name.lower(): folder for folder in _subfolders(top)}
    train = next((by_name[name] for name in TRAIN_NAMES if name in by_name), None)
    tests = [by_name[name] for name in TEST_NAMES if name in by_name and _subfolders(by_name[name])]
    if train is None or not _subfolders(train):
        return [(top, None)], []
    if not tests:
        return [(train, None)], []
    warnings = list[str]()
    if len(tests) > 1:
        warnings.append(f"{tests[0].name} was used as the test split; {', '.join(folder.name for folder in tests[1:])} was left out.")
    return [(train, "train"), (tests[0], "test")], warnings
