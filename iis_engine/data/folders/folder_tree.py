"""List the files of a folder as a tree: images, other files, links that leave the folder. No file is opened.

Hidden files and those that operating systems and file servers add are left out at every depth.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from iis_engine.data.decoding.images import SUFFIXES

_SYSTEM_NAMES = frozenset(
    (
        *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
        *("@eadir", "@recycle", "#recycle", "$recycle.bin", "lost+found", "system volume information", "__pycache__"),
    )
)
_DEPTH_MAX = 100
_SUFFIXES_LISTED = 8


@dataclass(frozen=True)
class Folder:
    """A folder and everything below it.

    Attributes
    ----------
    folders : subfolders, sorted by name
    images : names of the image files directly inside, sorted
    others : names of the other files directly inside, sorted
    links : names of links directly inside that lead out of the data set, and of links inside linked folders
    """

    path: Path
    folders: tuple[Folder, ...] = ()
    images: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    links: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """The folder's name in Unicode normalisation form C, so that archives of different systems agree."""
        return unicodedata.normalize("NFC", self.path.name)

    @cached_property
    def image_count(self) -> int:
        """Number of images at every depth."""
        return len(self.images) + sum(folder.image_count for folder in self.folders)

    @property
    def with_images(self) -> tuple[Folder, ...]:
        """Subfolders that contain images at any depth."""
        return tuple(folder for folder in self.folders if folder.image_count)

    def walk(self) -> Iterator[Folder]:
        """This folder and all below it."""
        yield self
        for folder in self.folders:
            yield from folder.walk()

    def image_paths(self) -> Iterator[Path]:
        """Every image at every depth."""
        for folder in self.walk():
            for name in folder.images:
                yield folder.path / name

    def other_names(self) -> list[str]:
        """Names of all files that are not images, at every depth."""
        return [name for folder in self.walk() for name in folder.others]


def read_folder_tree(root: Path) -> Folder:
    """List everything below `root`; links are followed where they lead to a file or, once on a path, to a folder inside `root`."""
    return _read(root, root.resolve(), is_below_link=False, depth=0)


def _read(path: Path, inside: Path, *, is_below_link: bool, depth: int) -> Folder:
    folders, images, others, links = list[Folder](), list[str](), list[str](), list[str]()
    with os.scandir(path) as entries:
        found = sorted((entry for entry in entries if not is_litter(entry.name)), key=lambda entry: entry.name)
    for entry in found:
        target = Path(entry.path).resolve() if entry.is_symlink() else None
        if target is not None and not target.is_relative_to(inside):
            links.append(entry.name)
        elif entry.is_dir():
            is_loop = target is not None and path.resolve().is_relative_to(target)
            if depth == _DEPTH_MAX or is_loop or (target is not None and is_below_link):
                links.append(entry.name)
            else:
                folders.append(_read(Path(entry.path), inside, is_below_link=is_below_link or target is not None, depth=depth + 1))
        elif entry.is_file():
            (images if is_image_name(entry.name) else others).append(entry.name)
    return Folder(path, tuple(folders), tuple(images), tuple(others), tuple(links))


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden, or one that an operating system or file server adds."""
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def is_image_name(name: str) -> bool:
    """Whether a file's name has an image suffix and is not hidden."""
    return Path(name).suffix.lower() in SUFFIXES and not is_litter(name)


def count_by_suffix(names: Iterable[str]) -> str:
    """Count files by their suffixes, the most frequent first.

    Examples
    --------
    >>> count_by_suffix(["a.heic", "b.HEIC", "README"])
    '2 .heic, 1 without suffix'
    """
    counts = Counter(Path(name).suffix.lower() or "without suffix" for name in names)
    listed = [f"{count} {suffix}" for suffix, count in counts.most_common(_SUFFIXES_LISTED)]
    rest = counts.total() - sum(count for _, count in counts.most_common(_SUFFIXES_LISTED))
    return ", ".join([*listed, *([f"{rest} others"] if rest else [])])
