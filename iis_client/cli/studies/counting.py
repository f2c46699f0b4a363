"""Count bytes and images of local files in the way the service reads them, for the estimate of a study."""

from __future__ import annotations

import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from iis_client.errors import LocalFileError
from iis_client.transport.packing import files_in
from iis_schemas.studies.requests import CountedDataset
from iis_schemas.studies.sources import FileDataset

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".avif"})
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")


def bytes_of(path: Path) -> int:
    """Size of a file or folder in an upload, without the headers of a folder's tar.

    Raises
    ------
    LocalFileError
        When a folder contains no files.
    """
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in files_in(path))


def count_dataset(source: FileDataset, path: Path | None) -> CountedDataset:
    """Count the images of a data set that is not registered.

    Parameters
    ----------
    path : its local file or folder; None for a data set on the server or the Hub, which cannot be counted, as one with a manifest
    """
    if source.kind == "features":
        return CountedDataset(kind="features", images=0)
    counts = None if path is None or source.manifest is not None else count_images(path)
    return CountedDataset() if counts is None else CountedDataset(images=counts[0], train=counts[1])


def count_images(path: Path) -> tuple[int, list[int]] | None:
    """Count all images, and the training images of each class; None if `path` is not a folder or an archive.

    Without folders for the splits, every class counts as training images.
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
    return len(images), list(classes.values())


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
        raise LocalFileError(f"{path} is not a readable archive ({error}); give a tar or zip of class folders.") from error
    return None


def _relative(names: Iterable[str]) -> list[PurePosixPath]:
    return [PurePosixPath(name.removeprefix("./")) for name in names]
