"""Files on this machine on their way out: folders as one tar, digests, slices. Sending them is iis_client.transport.uploads."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, cast

from iis_client.errors import LocalFileError

CHUNK_BYTES = 1024 * 1024


def file_digest(path: Path) -> str:
    """sha256 of a file's content, in hex; read in chunks."""
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def content_digest(path: Path) -> str:
    """The digest that an upload of a file or folder gets, without writing the folder's tar anywhere.

    Raises
    ------
    LocalFileError
        When there is nothing at the path, or nothing in it.
    """
    if path.is_file():
        return file_digest(path)
    _require_folder(path)
    digest = _Digest()
    _pack(path, digest)
    return digest.hex


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
    _require_folder(path)
    with tempfile.TemporaryDirectory(prefix="iis-") as folder:
        archive = Path(folder) / f"{path.resolve().name or 'folder'}.tar"
        with archive.open("wb") as tar:
            _pack(path, tar)
        yield archive


def files_in(folder: Path) -> list[Path]:
    """The files of a folder that are sent, sorted.

    Raises
    ------
    LocalFileError
        When there are none.
    """
    files = sorted(_files_in(folder))
    if not files:
        raise LocalFileError(f"{folder} has no files in it; give a folder of class folders with images.")
    return files


class _Digest(io.RawIOBase):
    """A file that keeps nothing but the sha256 of what is written to it."""

    def __init__(self) -> None:
        self._sha256 = sha256()
        self._written = 0

    @property
    def hex(self) -> str:
        return self._sha256.hexdigest()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._sha256.update(content)
        size_bytes = len(content)
        self._written += size_bytes
        return size_bytes

    def tell(self) -> int:
        return self._written


def _require_folder(path: Path) -> None:
    if not path.is_dir():
        raise LocalFileError(f"There is no file or folder at {path}.")


def _pack(folder: Path, archive: IO[bytes] | _Digest) -> None:
    files = files_in(folder)
    with tarfile.open(fileobj=cast("IO[bytes]", archive), mode="w") as tar:
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
