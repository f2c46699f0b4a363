"""Uploaded archives unpacked into a folder, or refused whole. What the files mean is read elsewhere."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from iis_engine.errors import DataError

CHUNK_BYTES = 1 << 20
IGNORED_NAMES = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
_HEADER_MAX_BYTES = 1 << 20
_RATIO_APPLIES_ABOVE_BYTES = 64 << 20
_SHOWN_AT_MOST = 80
_PATH_MAX_BYTES = 1024
"""Of a path inside an archive: what macOS takes for a whole path, and object stores for a key."""
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(EOFError, OSError, ValueError, NotImplementedError, RuntimeError),
)
_FAULTS_OF_THE_MACHINE = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE),
        *(errno.EACCES, errno.EPERM, errno.ENOENT, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    )
)
"""Errors of reading the archive or writing its files that no other archive would mend; all others come of what the archive says."""


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may hold."""

    total_bytes: int = 64 << 30
    file_count: int = 2_000_000
    compression_ratio: float = 100.0
    """Unpacked bytes per packed byte, once 64 MiB are unpacked; images hardly compress, bombs do."""


@dataclass(frozen=True)
class Unpacked:
    """What came out: files written, their bytes, and entries left out as litter of operating systems."""

    file_count: int
    size_bytes: int
    ignored_count: int


@dataclass(frozen=True)
class _Entry:
    name: str
    is_folder: bool
    size_bytes: int
    fault: str | None
    handle: Any


def unpack_archive(archive: Path, into: Path, limits: ArchiveLimits | None = None) -> Unpacked:
    """Unpack a zip, tar, tar.gz, tar.bz2 or tar.xz file into a new folder, in constant memory.

    The files appear in `into` only once all of them are written; after a refusal nothing is left behind.

    Raises
    ------
    DataError
        For another file type, a damaged or encrypted archive, names that are absolute, contain `..`, clash, are too long or not UTF-8,
        links and devices, and archives beyond the limits. The sentence names the entry.
    OSError
        For a disk that is full, read-only or failing, which another archive would not mend.
    """
    bounds = limits or ArchiveLimits()
    if into.exists() and any(into.iterdir()):
        raise DataError(f"The folder {into.name} is not empty, so nothing is unpacked into it.", code="archive_invalid")
    into.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))
    try:
        try:
            unpacked = _unpack_zip(archive, staging, bounds) if zipfile.is_zipfile(archive) else _unpack_tar(archive, staging, bounds)
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno in _FAULTS_OF_THE_MACHINE:
                raise
            raise _refusal(archive, f"is damaged ({str(error) or type(error).__name__}); upload it again") from error
        if unpacked.file_count == 0:
            raise _refusal(archive, "holds no files")
        if into.exists():
            into.rmdir()
        staging.chmod(0o755)
        staging.rename(into)
        return unpacked
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _unpack_zip(archive: Path, into: Path, limits: ArchiveLimits) -> Unpacked:
    with zipfile.ZipFile(archive) as opened:

        def entries() -> Iterator[_Entry]:
            for info in opened.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                fault = "is encrypted; send it without a password" if info.flag_bits & 1 else _kind_fault(kind)
                yield _Entry(info.filename, info.is_dir(), info.file_size, fault, info)

        def open_entry(entry: _Entry) -> IO[bytes]:
            return opened.open(entry.handle)

        return _write_all(archive, entries(), open_entry, into, limits)


def _unpack_tar(archive: Path, into: Path, limits: ArchiveLimits) -> Unpacked:
    with _plain_stream(archive) as stream:
        try:
            opened = tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:")  # noqa: SIM115 (closed with its stream)
        except tarfile.ReadError as error:
            raise _refusal(archive, "is not a zip or tar archive; send .zip, .tar or .tar.gz") from error

        def entries() -> Iterator[_Entry]:
            remembered = cast(Any, opened).members
            while (info := opened.next()) is not None:
                remembered.clear()  # tarfile keeps every member it has passed
                is_link = info.issym() or info.islnk()
                fault = None if info.isfile() or info.isdir() else _kind_fault(stat.S_IFLNK if is_link else stat.S_IFCHR)
                yield _Entry(info.name, info.isdir(), info.size, fault, info)

        def open_entry(entry: _Entry) -> IO[bytes]:
            return cast(IO[bytes], opened.extractfile(entry.handle))

        return _write_all(archive, entries(), open_entry, into, limits)


def _write_all(
    archive: Path, entries: Iterator[_Entry], open_entry: Callable[[_Entry], IO[bytes]], into: Path, limits: ArchiveLimits
) -> Unpacked:
    allowed = limits.total_bytes
    by_ratio = max(_RATIO_APPLIES_ABOVE_BYTES, int(archive.stat().st_size * limits.compression_ratio))
    file_count = size_bytes = ignored_count = entry_count = declared_bytes = 0
    for entry in entries:
        entry_count += 1
        if entry_count > limits.file_count:
            raise _refusal(archive, f"holds more than the {limits.file_count:,} entries allowed", code="archive_too_large")
        parts = _safe_parts(archive, entry.name)
        if entry.fault is not None:
            raise _refusal(archive, f"holds {entry.name!r}, which {entry.fault}")
        declared_bytes += entry.size_bytes
        if declared_bytes > allowed:
            raise _too_large(archive, allowed)
        if not IGNORED_NAMES.isdisjoint(parts) or (parts and parts[-1].startswith("._")):
            ignored_count += 1
            continue
        if not parts and not entry.is_folder:
            raise _refusal(archive, "holds a file without a name; pack it again")
        target = into.joinpath(*parts)
        try:
            if entry.is_folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with open_entry(entry) as source, target.open("xb") as sink:
                while chunk := source.read(CHUNK_BYTES):
                    size_bytes += len(chunk)
                    if size_bytes > allowed:
                        raise _too_large(archive, allowed)
                    if size_bytes > by_ratio:
                        raise _refusal(
                            archive, f"unpacks to over {limits.compression_ratio:g} times its size, as no images do", code="archive_bomb"
                        )
                    sink.write(chunk)
        except (FileExistsError, NotADirectoryError) as error:
            raise _refusal(archive, f"holds {entry.name!r} more than once") from error
        file_count += 1
    return Unpacked(file_count, size_bytes, ignored_count)


def _safe_parts(archive: Path, name: str) -> tuple[str, ...]:
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:  # tarfile reads other bytes as lone surrogates, which no database takes
        raise _refusal(archive, f"holds the name {_shown(name)}, which is not UTF-8; pack it again under UTF-8 names") from error
    if length > _PATH_MAX_BYTES:
        raise _refusal(archive, f"holds the path {_shown(name)} of {length} bytes; pack it again with paths up to {_PATH_MAX_BYTES}")
    slashed = name.replace("\\", "/")
    if slashed.startswith("/") or re.match(r"[A-Za-z]:", slashed):
        raise _refusal(archive, f"holds the absolute path {name!r}; pack the folder from inside its parent")
    parts = tuple(part for part in PurePosixPath(slashed).parts if part != ".")
    if ".." in parts:
        raise _refusal(archive, f"holds the path {name!r}, which leaves the archive; pack the folder from inside its parent")
    if any("\0" in part or len(part.encode()) > 255 for part in parts):
        raise _refusal(archive, f"holds the name {_shown(name)}, which no file may have")
    return parts


def _shown(name: str) -> str:
    return repr(name) if len(name) <= _SHOWN_AT_MOST else f"{name[:_SHOWN_AT_MOST]!r}…"


def _kind_fault(kind: int) -> str | None:
    if kind == stat.S_IFLNK:
        return "is a link; pack the files themselves"
    return None if kind in {0, stat.S_IFREG, stat.S_IFDIR} else "is a device or a pipe; pack files only"


class _BoundedReader:
    """A seekable stream that refuses the giant single reads by which a crafted tar header would fill the memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _HEADER_MAX_BYTES:
            raise tarfile.HeaderError(f"a header claims {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


@contextmanager
def _plain_stream(archive: Path) -> Generator[_BoundedReader]:
    with archive.open("rb") as file:
        start = file.read(6)
        file.seek(0)
        if start.startswith(b"PK"):
            raise _refusal(archive, "ends before its contents do; upload it again")
        if start.startswith(b"\x1f\x8b"):
            stream: Any = gzip.GzipFile(fileobj=file)
        elif start.startswith(b"BZh"):
            stream = bz2.BZ2File(file)
        elif start.startswith(b"\xfd7zXZ"):
            stream = lzma.LZMAFile(file)  # noqa: SIM115 (closed with the file)
        else:
            stream = file
        yield _BoundedReader(stream)


def _too_large(archive: Path, allowed: int) -> DataError:
    return _refusal(archive, f"unpacks to more than the {allowed:,} bytes allowed", code="archive_too_large")


def _refusal(archive: Path, reason: str, *, code: str = "archive_invalid") -> DataError:
    return DataError(f"The archive {archive.name} {reason}.", code=code, param="archive")
