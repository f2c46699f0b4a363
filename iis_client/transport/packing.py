"""Prepare local files for upload: pack a folder as tar, compute sha256, read slices. The upload is in iis_client.transport.uploads."""

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
    """Compute the sha256 of a file in chunks; return it in hex."""
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def content_digest(path: Path) -> str:
    """Compute the sha256 that an upload of a file or folder has, without writing a folder's tar to disk.

    Raises
    ------
    LocalFileError
        When the path does not exist, or the folder is empty.
    """
    if path.is_file():
        return file_digest(path)
    _require_folder(path)
    digest = _Sha256Writer()
    _pack(path, digest)
    return digest.hex


def file_slice(path: Path, start: int, size_bytes: int, on_chunk: Callable[[int], None]) -> Iterator[bytes]:
    """Yield `size_bytes` of a file from `start`, in chunks; call `on_chunk` with the length of each chunk after it is consumed.

    Raises
    ------
    LocalFileError
        When the file is shorter than it was.
    """
    with path.open("rb") as file:
        file.seek(start)
        left = size_bytes
        while left > 0:
            chunk = file.read(min(CHUNK_BYTES, left))
            if not chunk:
                raise LocalFileError(f"{path} became shorter during the upload; send it again when no program writes to it.")
            left -= len(chunk)
            yield chunk
            on_chunk(len(chunk))


@contextmanager
def as_one_file(path: Path) -> Generator[Path]:
    """Yield the file itself, or a folder as an uncompressed tar in a temporary file that is deleted afterwards.

    Images are compressed already, so the tar is not. Links are followed, since the service refuses archives with links; names
    that begin with a dot are skipped. Entries are sorted and have no owner or time, so an unchanged folder gives the same bytes
    and is stored once.

    Raises
    ------
    LocalFileError
        When the path does not exist, or the folder is empty.
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
    """List the files of a folder that an upload contains, sorted.

    Raises
    ------
    LocalFileError
        When there are none.
    """
    files = sorted(_files_in(folder))
    if not files:
        raise LocalFileError(f"{folder} contains no files; give a folder of class folders with images.")
    return files


class _Sha256Writer(io.RawIOBase):
    """A writable file that only computes the sha256 of its content."""

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


def _pack(folder: Path, archive: IO[bytes] | _Sha256Writer) -> None:
    files = files_in(folder)
    with tarfile.open(fileobj=cast("IO[bytes]", archive), mode="w") as tar:
        for file in files:
            entry = tarfile.TarInfo(file.relative_to(folder).as_posix())
            entry.size = file.stat().st_size
            entry.mode = 0o644
            with file.open("rb") as content:
                tar.addfile(entry, content)


def _files_in(folder: Path) -> Iterator[Path]:
    visited = {folder.resolve()}  # a link to a parent folder would recurse without end
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".") and _is_new(Path(parent, name).resolve(), visited)]
        yield from (Path(parent, name) for name in names if not name.startswith(".") and Path(parent, name).is_file())


def _is_new(folder: Path, visited: set[Path]) -> bool:
    if folder in visited:
        return False
    visited.add(folder)
    return True
