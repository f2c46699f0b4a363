"""Unpack uploaded zip and tar archives into a folder; reject unsafe or oversized ones before any file is visible."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

from iis_engine.data.archives.entry_names import quoted, refusal, safe_parts, type_problem
from iis_engine.data.archives.zip_entries import compression_problem, decode_name
from iis_engine.errors import DataError

_CHUNK_BYTES = 1 << 20
_SYSTEM_FILE_NAMES = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
_HEADER_MAX_BYTES = 1 << 20
_SIGNATURE_BYTES = 8
_OTHER_ARCHIVES = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x04\x22\x4d\x18": "LZ4",
    b"\x1f\x9d": "compress (.Z)",
    b"MSCF": "cabinet (.cab)",
    b"\x89HDF": "HDF5",
    b"PAR1": "Parquet",
}
_RATIO_APPLIES_ABOVE_BYTES = 64 << 20
_READ_ERRORS = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(EOFError, OSError, ValueError, NotImplementedError, RuntimeError),
)
_MACHINE_ERROR_NUMBERS = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE),
        *(errno.EACCES, errno.EPERM, errno.ENOENT, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    )
)
"""errno values caused by this machine's disk or limits; every other OSError is caused by the archive's content."""


@dataclass(frozen=True)
class ArchiveLimits:
    """Upper bounds on an archive.

    Attributes
    ----------
    total_bytes : sum of the unpacked file sizes
    file_count : number of entries, and of the folders above them
    compression_ratio : unpacked bytes per packed byte, checked once 64 MiB are unpacked: images hardly compress, archive bombs do
    """

    total_bytes: int = 64 << 30
    file_count: int = 2_000_000
    compression_ratio: float = 100.0

    def unpacked_bytes(self, packed_bytes: int) -> int:
        """Bytes that a file of this size may unpack to by its compression."""
        return max(_RATIO_APPLIES_ABOVE_BYTES, int(packed_bytes * self.compression_ratio))

    def after(self, unpacked: UnpackedArchive) -> ArchiveLimits:
        """What remains for archives inside an unpacked one."""
        return replace(self, total_bytes=self.total_bytes - unpacked.size_bytes, file_count=self.file_count - unpacked.entry_count)


@dataclass(frozen=True)
class UnpackedArchive:
    """Counts of an unpacked archive.

    Attributes
    ----------
    file_count, size_bytes : number and total size of the files written
    ignored_count : entries skipped because operating systems add them, such as `.DS_Store`
    entry_count : entries, and the folders above them
    """

    file_count: int
    size_bytes: int
    ignored_count: int
    entry_count: int


@dataclass(frozen=True)
class _Entry:
    name: str
    is_folder: bool
    size_bytes: int
    problem: str | None
    handle: Any


def unpack_archive(archive: Path, into: Path, limits: ArchiveLimits | None = None) -> UnpackedArchive:
    """Unpack a zip, tar, tar.gz, tar.bz2 or tar.xz file into a new folder, in constant memory; names become NFC.

    The files are written to a temporary folder beside `into`, which is renamed once all are complete; on error it is deleted.

    Parameters
    ----------
    into : folder to create; it may exist if it is empty
    limits : upper bounds; the defaults of `ArchiveLimits` if None

    Raises
    ------
    DataError
        For another file type, a damaged or encrypted archive, an unsupported compression, names that are absolute, contain `..`, are
        repeated, too long or not UTF-8, links and devices, and archives above the limits. The message names the entry.
    OSError
        If the disk is full, read-only or failing.
    """
    limits = limits or ArchiveLimits()
    if into.exists() and any(into.iterdir()):
        raise DataError(f"The folder {into.name} is not empty; unpack the archive into an empty folder.", code="archive_invalid")
    into.parent.mkdir(parents=True, exist_ok=True)
    private = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))
    staging = private / into.name  # a folder with the ordinary mode: a confined process may not change it later
    staging.mkdir()
    try:
        try:
            unpacked = _unpack_zip(archive, staging, limits) if zipfile.is_zipfile(archive) else _unpack_tar(archive, staging, limits)
        except _READ_ERRORS as error:
            if isinstance(error, OSError) and error.errno in _MACHINE_ERROR_NUMBERS:
                raise
            raise refusal(archive, f"is damaged ({str(error) or type(error).__name__}); upload it again") from error
        if unpacked.file_count == 0:
            raise refusal(archive, "contains no files")
        if into.exists():
            into.rmdir()
        staging.rename(into)
        return unpacked
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _unpack_zip(archive: Path, into: Path, limits: ArchiveLimits) -> UnpackedArchive:
    with zipfile.ZipFile(archive) as opened:

        def entries() -> Iterator[_Entry]:
            for info in opened.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                problem = "is encrypted; send it without a password" if info.flag_bits & 1 else type_problem(kind)
                name = decode_name(info)
                if name is None:
                    reason = "whose encoding the archive does not state and which is not UTF-8; pack it again with UTF-8 names"
                    raise refusal(archive, f"contains the name {quoted(info.filename)}, {reason}")
                yield _Entry(name, info.is_dir(), info.file_size, problem or compression_problem(info), info)

        def open_entry(entry: _Entry) -> IO[bytes]:
            return opened.open(entry.handle)

        return _write_all(archive, entries(), open_entry, into, limits)


def _unpack_tar(archive: Path, into: Path, limits: ArchiveLimits) -> UnpackedArchive:
    with archive.open("rb") as file:
        signature = file.read(_SIGNATURE_BYTES)
    with _decompressed_stream(archive) as stream:
        try:
            opened = tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:")  # noqa: SIM115 (closed with its stream)
        except tarfile.ReadError as error:
            kind = next((name for start, name in _OTHER_ARCHIVES.items() if signature.startswith(start)), None)
            found = "is not a zip or tar archive" if kind is None else f"is a {kind} file, not a zip or tar archive"
            raise refusal(archive, f"{found}; send .zip, .tar or .tar.gz") from error

        def entries() -> Iterator[_Entry]:
            seen_members = cast(Any, opened).members
            while (info := opened.next()) is not None:
                seen_members.clear()  # tarfile keeps every member it has read
                is_link = info.issym() or info.islnk()
                problem = None if info.isfile() or info.isdir() else type_problem(stat.S_IFLNK if is_link else stat.S_IFCHR)
                yield _Entry(info.name, info.isdir(), info.size, problem, info)

        def open_entry(entry: _Entry) -> IO[bytes]:
            return cast(IO[bytes], opened.extractfile(entry.handle))

        return _write_all(archive, entries(), open_entry, into, limits)


def _write_all(
    archive: Path, entries: Iterator[_Entry], open_entry: Callable[[_Entry], IO[bytes]], into: Path, limits: ArchiveLimits
) -> UnpackedArchive:
    allowed_bytes = limits.total_bytes
    allowed_by_ratio = limits.unpacked_bytes(archive.stat().st_size)
    folders = set[int]()  # hashes of their paths
    file_count = size_bytes = ignored_count = entry_count = declared_bytes = 0
    for entry in entries:
        entry_count += 1
        parts = safe_parts(archive, entry.name)
        if hash(parts[:-1]) not in folders:
            folders.update(hash(parts[:depth]) for depth in range(1, len(parts)))
        if entry_count + len(folders) > limits.file_count:
            raise refusal(archive, f"contains more than the {limits.file_count:,} entries allowed", code="archive_too_large")
        if entry.problem is not None:
            raise refusal(archive, f"contains {entry.name!r}, which {entry.problem}")
        declared_bytes += entry.size_bytes
        if declared_bytes > allowed_bytes:
            raise _too_large(archive, allowed_bytes)
        if not _SYSTEM_FILE_NAMES.isdisjoint(parts) or (parts and parts[-1].startswith("._")):
            ignored_count += 1
            continue
        if not parts and not entry.is_folder:
            raise refusal(archive, "contains a file without a name; pack it again")
        target = into.joinpath(*parts)
        try:
            if entry.is_folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with open_entry(entry) as source, target.open("xb") as sink:
                while chunk := source.read(_CHUNK_BYTES):
                    size_bytes += len(chunk)
                    if size_bytes > allowed_bytes:
                        raise _too_large(archive, allowed_bytes)
                    if size_bytes > allowed_by_ratio:
                        raise refusal(
                            archive,
                            f"unpacks to more than {limits.compression_ratio:g} times its size, which images never do",
                            code="archive_bomb",
                        )
                    sink.write(chunk)
        except (FileExistsError, NotADirectoryError) as error:
            raise refusal(archive, f"contains {entry.name!r} more than once") from error
        file_count += 1
    return UnpackedArchive(file_count, size_bytes, ignored_count, entry_count + len(folders))


class _BoundedReader:
    """Seekable stream that rejects single reads above 1 MiB, which a crafted tar header would use to fill the memory."""

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
def _decompressed_stream(archive: Path) -> Generator[_BoundedReader]:
    with archive.open("rb") as file:
        start = file.read(6)
        file.seek(0)
        if start.startswith(b"PK"):
            raise refusal(archive, "is truncated; upload it again")
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
    return refusal(archive, f"unpacks to more than the {allowed:,} bytes allowed", code="archive_too_large")
