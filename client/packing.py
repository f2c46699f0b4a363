"""Files on this machine on their way out: folders as one tar, digests, slices. Sending them is client.uploads."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from client.errors import LocalFileError

CHUNK_BYTES = 1024 * 1024


def file_digest(path: Path) -> str:
    """sha256 of a file's content, in hex; read in chunks."""
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def file_slice(path: Path, start: int, size_bytes: int, sent: Callable[[int], None]) -> Iterator[bytes]:
    """The bytes of a file from `start`, in chunks; `sent` is told the length of each one that was taken."""
    with path.open("rb") as file:
        file.seek(start)
        left = size_bytes
        while left > 0:
            chunk = file.read(min(CHUNK_BYTES, left))
            if not chunk:
                raise LocalFileError(f"{path} became shorter while it was being sent; send it again when nothing writes to it.")
            left -= len(chunk)
            yield chunk
            sent(len(chunk))


@contextmanager
def as_one_file(path: Path) -> Generator[Path]:
    """The file itself; or, of a folder, an uncompressed tar in a temporary file that is gone afterwards.

    Images are compressed already, so the tar is not. A link goes in as what it points to, since the service refuses archives
    with links; names that begin with a dot stay out. Entries are sorted and carry no owner or time, so that an unchanged folder
    gives the same bytes and is not stored twice.

    Raises
    ------
    LocalFileError
        When there is nothing at the path, or nothing in it.
    """
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise LocalFileError(f"There is no file or folder at {path}.")
    with tempfile.TemporaryDirectory(prefix="iis-") as folder:
        archive = Path(folder) / f"{path.resolve().name or 'folder'}.tar"
        _pack(path, archive)
        yield archive


def _pack(folder: Path, archive: Path) -> None:
    files = sorted(_files_in(folder))
    if not files:
        raise LocalFileError(f"{folder} has no files in it; give a folder of class folders with images.")
    with tarfile.open(archive, "w") as tar:
        for file in files:
            entry = tarfile.TarInfo(file.relative_to(folder).as_posix())
            entry.size = file.stat().st_size
            entry.mode = 0o644
            with file.open("rb") as content:
                tar.addfile(entry, content)


def _files_in(folder: Path) -> Iterator[Path]:
    entered = {folder.resolve()}  # a link back into a folder above would never end
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".") and _is_new(Path(parent, name).resolve(), entered)]
        yield from (Path(parent, name) for name in names if not name.startswith(".") and Path(parent, name).is_file())


def _is_new(folder: Path, entered: set[Path]) -> bool:
    if folder in entered:
        return False
    entered.add(folder)
    return True
