"""Bytes and images that lie on this machine, counted as the service will count them. What they cost is in .cost."""

from __future__ import annotations

import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from iis_client.errors import LocalFileError
from iis_client.transport.packing import files_in

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm"})
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")


def bytes_of(path: Path) -> int:
    """How many bytes a file or folder would send, less a folder's names.

    Raises
    ------
    LocalFileError
        When a folder has no files.
    """
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in files_in(path))


def count_images(path: Path, images_per_class: int, crops: int) -> int | None:
    """Images in a folder of class folders or an archive of one, and the crops of its training images; None where it is neither.

    Without folders for the splits every class gives crops as if all of it were for training, which a class has enough of.
    """
    names = _names_in(path)
    if names is None:
        return None
    splits = {name.parts[0].lower() for name in names if len(name.parts) > 2}
    wrapped = len({name.parts[0] for name in names}) == 1 and not splits & set(TRAIN_NAMES)
    inner = [PurePosixPath(*name.parts[1:]) if wrapped else name for name in names]
    splits = {name.parts[0].lower() for name in inner if len(name.parts) > 2}
    train = next((name for name in TRAIN_NAMES if name in splits), None)
    test = next((name for name in TEST_NAMES if name in splits), None)
    images = [name for name in inner if name.suffix.lower() in IMAGE_SUFFIXES and len(name.parts) > 1]
    if train is not None:
        images = [name for name in images if name.parts[0].lower() in (train, test)]
    classes = Counter(
        name.parts[1] if train is not None else name.parts[0] for name in images if train is None or name.parts[0].lower() == train
    )
    return len(images) + sum(min(count, images_per_class) for count in classes.values()) * crops


def _names_in(path: Path) -> list[PurePosixPath] | None:
    if path.is_dir():
        return [PurePosixPath(file.relative_to(path).as_posix()) for file in files_in(path)]
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _relative(info.filename for info in archive.infolist() if not info.is_dir())
        if tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                return _relative(member.name for member in archive if member.isfile())
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise LocalFileError(f"{path} is no archive that can be read ({error}); send a tar or zip of class folders.") from error
    return None


def _relative(names: Iterable[str]) -> list[PurePosixPath]:
    return [PurePosixPath(name.removeprefix("./")) for name in names]
