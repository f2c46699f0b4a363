"""Artifact store: content under its sha256, and the parts of unfinished uploads. Knows no database rows and no owners."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import uuid4

import fsspec
from botocore.exceptions import BotoCoreError

from app.settings import Settings

CHUNK_BYTES = 1 << 20
CONTENT_PREFIXES = 256  # values of the first byte of a sha256, one folder each
SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")


class StorageUnavailable(Exception):
    """Storage cannot be reached, is full, or denies access."""


class ArtifactMissing(StorageUnavailable):
    """Requested content is not in storage."""


class ContentMismatch(Exception):
    """Content has another sha256 or length than declared."""

    def __init__(self, sha256: str, size_bytes: int) -> None:
        super().__init__(f"The content has {size_bytes} bytes and sha256 {sha256}.")
        self.sha256 = sha256
        self.size_bytes = size_bytes


class ArtifactStore:
    """Content under `sha256/ab/<hex>`. Writes are atomic: a temporary file is moved to its address when it is complete.

    Parameters
    ----------
    url : `file:///folder` or `s3://bucket/prefix`
    endpoint_url : S3 server other than Amazon's; credentials come from the AWS_ variables
    """

    def __init__(self, url: str, *, endpoint_url: str | None = None) -> None:
        if url.startswith("s3://"):
            from app.storage.s3_requests import open_s3  # slow import, needed for S3 only

            filesystem, root = open_s3(url, endpoint_url)
        else:
            filesystem, root = cast("tuple[Any, str]", fsspec.url_to_fs(url))
        self._files = filesystem
        self._root = root.rstrip("/")
        self._local = url.startswith("file://") or "://" not in url

    def put(self, path: Path) -> tuple[str, int]:
        """Store a file; returns its sha256 and size in bytes."""
        with path.open("rb") as file:
            return self.put_chunks(iter(lambda: file.read(CHUNK_BYTES), b""))

    def put_chunks(self, chunks: Iterable[bytes], *, expected: tuple[str, int] | None = None) -> tuple[str, int]:
        """Store the concatenated chunks in constant memory; returns the sha256 and size in bytes.

        Parameters
        ----------
        chunks : content in order
        expected : required sha256 and size in bytes

        Raises
        ------
        ContentMismatch
            If the content differs from `expected`; nothing is stored.
        """
        temporary = f"{self._root}/incoming/{uuid4().hex}"
        with _storage_errors(), self._removed_on_error(temporary):
            digest, size = self._write(temporary, chunks)
            if expected is not None and expected != (digest, size):
                raise ContentMismatch(digest, size)
            self._move(temporary, self._address(digest))
        return digest, size

    def open(self, sha256: str) -> BinaryIO:
        """Open stored content for reading."""
        with _storage_errors():
            return cast("BinaryIO", self._files.open(self._address(sha256), "rb"))

    def read_range(self, sha256: str, start: int, end: int) -> bytes:
        """Bytes `start` (inclusive) to `end` (exclusive) of stored content, without reading the rest."""
        with _storage_errors():
            return cast("bytes", self._files.cat_file(self._address(sha256), start=start, end=end))

    def fetch(self, sha256: str, path: Path) -> None:
        """Copy stored content to a local file, atomically."""
        temporary = path.with_name(f".{path.name}.{uuid4().hex}")
        try:
            with self.open(sha256) as source, temporary.open("wb") as target:
                for chunk in iter(lambda: source.read(CHUNK_BYTES), b""):
                    target.write(chunk)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def exists(self, sha256: str) -> bool:
        with _storage_errors():
            return bool(self._files.exists(self._address(sha256)))

    def delete(self, sha256: str) -> None:
        """Delete content; does nothing if it does not exist."""
        self._remove(self._address(sha256))

    def move_to_temporary(self, sha256: str) -> str | None:
        """Remove content from its address in constant time; on S3, delete it. Does nothing if it does not exist.

        Returns
        -------
        str or None
            Temporary name for `delete_temporary`, or for `sweep_temporary` if that is never called; None if no file is left.
        """
        if not self._local:
            self.delete(sha256)
            return None
        temporary = f"{self._root}/incoming/{uuid4().hex}"
        try:
            with _storage_errors():
                self._files.makedirs(os.path.dirname(temporary), exist_ok=True)
                self._move(self._address(sha256), temporary)
        except ArtifactMissing:
            return None
        return temporary

    def delete_temporary(self, temporary: str) -> None:
        """Delete a file that `move_to_temporary` renamed; for a large file this takes seconds."""
        self._remove(temporary)

    def put_part(self, upload_id: str, number: int, path: Path, sha256: str) -> None:
        """Store one part of an upload. The file name contains the sha256, so that concurrent writers of one number do not mix."""
        temporary = f"{self._root}/incoming/{uuid4().hex}"
        with _storage_errors(), path.open("rb") as file, self._removed_on_error(temporary):
            self._write(temporary, iter(lambda: file.read(CHUNK_BYTES), b""))
            self._move(temporary, self._part(upload_id, number, sha256))

    def read_part(self, upload_id: str, number: int, sha256: str) -> Iterator[bytes]:
        """Content of one part in chunks."""
        with _storage_errors(), self._files.open(self._part(upload_id, number, sha256), "rb") as file:
            yield from iter(lambda: cast("bytes", file.read(CHUNK_BYTES)), b"")

    def delete_part(self, upload_id: str, number: int, sha256: str) -> None:
        self._remove(self._part(upload_id, number, sha256))

    def delete_parts(self, upload_id: str) -> None:
        """Delete all parts of an upload."""
        self._remove(f"{self._root}/parts/{upload_id}", recursive=True)

    def uploads_with_parts(self) -> set[str]:
        """Ids of uploads with stored parts."""
        return {Path(entry["name"]).name for entry in self._entries("parts") if entry["type"] == "directory"}

    def contents(self, prefix: int) -> Iterator[tuple[str, int, float]]:
        """sha256, size in bytes and age in seconds of all content whose sha256 begins with the byte `prefix`."""
        now = datetime.now(UTC).timestamp()
        for entry in self._entries(f"sha256/{prefix:02x}"):
            name = Path(entry["name"]).name
            if entry["type"] == "file" and SHA256_PATTERN.fullmatch(name):
                yield name, int(entry["size"]), now - _modified(entry)

    def sweep_temporary(self, older_than_seconds: float) -> int:
        """Delete temporary files that terminated writers have left; returns the number deleted."""
        now = datetime.now(UTC).timestamp()
        stale = [entry["name"] for entry in self._entries("incoming") if now - _modified(entry) > older_than_seconds]
        for name in stale:
            self._remove(name)
        return len(stale)

    def check(self) -> None:
        """Check that files can be written and removed.

        Raises
        ------
        StorageUnavailable
        """
        probe = f"{self._root}/incoming/{uuid4().hex}"
        with _storage_errors():
            self._write(probe, [b"ready"])
        self._remove(probe)

    def _address(self, sha256: str) -> str:
        if not SHA256_PATTERN.fullmatch(sha256):
            raise ArtifactMissing(f"{sha256!r} is not a sha256 in lower-case hex.")
        return f"{self._root}/sha256/{sha256[:2]}/{sha256}"

    def _part(self, upload_id: str, number: int, sha256: str) -> str:
        return f"{self._root}/parts/{upload_id}/{number}-{sha256}"

    def _entries(self, folder: str) -> list[dict[str, Any]]:
        """Uncached listing of a folder; empty if it does not exist."""
        with _storage_errors():
            try:
                return cast("list[dict[str, Any]]", self._files.ls(f"{self._root}/{folder}", detail=True, refresh=True))
            except FileNotFoundError:
                return []

    def _write(self, name: str, chunks: Iterable[bytes]) -> tuple[str, int]:
        if self._local:
            self._files.makedirs(os.path.dirname(name), exist_ok=True)
        digest, size = sha256(), 0
        with self._files.open(name, "wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
            if self._local:  # durable before a row refers to it
                file.flush()
                os.fsync(file.fileno())
        return digest.hexdigest(), size

    def _move(self, source: str, target: str) -> None:
        if self._local:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            Path(source).replace(target)
        else:
            self._files.mv(source, target)

    def _remove(self, name: str, *, recursive: bool = False) -> None:
        with _storage_errors(), suppress(FileNotFoundError):
            self._files.rm(name, recursive=recursive)

    @contextmanager
    def _removed_on_error(self, name: str) -> Generator[None]:
        try:
            yield
        except BaseException:
            with suppress(OSError, BotoCoreError):
                self._files.rm(name)
            raise


def open_store(settings: Settings) -> ArtifactStore:
    """Artifact store configured by the settings."""
    return ArtifactStore(settings.storage_url, endpoint_url=settings.s3_endpoint_url)


def _modified(entry: dict[str, Any]) -> float:
    moment = entry.get("mtime") or entry.get("LastModified")
    return moment.timestamp() if isinstance(moment, datetime) else float(moment or 0)


@contextmanager
def _storage_errors() -> Generator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ArtifactMissing(f"Storage does not contain {Path(str(error.filename or error)).name}.") from error
    except (OSError, BotoCoreError) as error:
        raise StorageUnavailable(f"Storage did not answer: {error}.") from error
