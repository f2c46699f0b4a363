"""Where bytes lie: content under its sha256, and the parts of unfinished uploads. No rows, no owners, no HTTP here."""

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
CONTENT_PREFIXES = 256  # folders of content, one a value of the first byte of its sha256
SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")


class StorageUnavailable(Exception):
    """Storage cannot be reached, is full, or refuses us."""


class ArtifactMissing(StorageUnavailable):
    """Content that a row points at is not in storage."""


class ContentMismatch(Exception):
    """Bytes turned out to have another sha256 or another length than was declared."""

    def __init__(self, sha256: str, size_bytes: int) -> None:
        super().__init__(f"The content has {size_bytes} bytes and sha256 {sha256}.")
        self.sha256 = sha256
        self.size_bytes = size_bytes


class ArtifactStore:
    """Content under `sha256/ab/<hex>`, never half-written: bytes go to a temporary name and are moved when they are whole.

    Parameters
    ----------
    url : `file:///folder` or `s3://bucket/prefix`
    endpoint_url : another S3 server than Amazon's; credentials come from the usual AWS_ variables
    """

    def __init__(self, url: str, *, endpoint_url: str | None = None) -> None:
        if url.startswith("s3://"):
            from app.storage.s3_requests import open_s3  # slow, and for S3 alone

            filesystem, root = open_s3(url, endpoint_url)
        else:
            filesystem, root = cast("tuple[Any, str]", fsspec.url_to_fs(url))
        self._files = filesystem
        self._root = root.rstrip("/")
        self._local = url.startswith("file://") or "://" not in url

    def put(self, path: Path) -> tuple[str, int]:
        """Store a file; returns its sha256 and its size in bytes."""
        with path.open("rb") as file:
            return self.put_chunks(iter(lambda: file.read(CHUNK_BYTES), b""))

    def put_bytes(self, content: bytes) -> tuple[str, int]:
        """Store bytes; returns their sha256 and their number."""
        return self.put_chunks([content])

    def put_chunks(self, chunks: Iterable[bytes], *, expected: tuple[str, int] | None = None) -> tuple[str, int]:
        """Store what an iterable yields, in constant memory.

        Parameters
        ----------
        expected : sha256 and size in bytes that the content must have

        Raises
        ------
        ContentMismatch
            When it has others; nothing is kept.
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
        """The bytes `start` to before `end` of stored content, and no others of it."""
        with _storage_errors():
            return cast("bytes", self._files.cat_file(self._address(sha256), start=start, end=end))

    def fetch(self, sha256: str, path: Path) -> None:
        """Copy stored content to a local file, which appears whole or not at all."""
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
        """Drop content; harmless when it is gone already."""
        self._remove(self._address(sha256))

    def set_aside(self, sha256: str) -> str | None:
        """Take content away at once, however large it is, and harmlessly when it is gone already.

        Returns
        -------
        str or None
            What to give to `drop` later; whatever is never given to it goes with `sweep_temporary`. None when nothing is left to drop.
        """
        if not self._local:
            self.delete(sha256)
            return None
        aside = f"{self._root}/incoming/{uuid4().hex}"
        try:
            with _storage_errors():
                self._files.makedirs(os.path.dirname(aside), exist_ok=True)
                self._move(self._address(sha256), aside)
        except ArtifactMissing:
            return None
        return aside

    def drop(self, aside: str) -> None:
        """Remove what was set aside; of a large file that may take seconds."""
        self._remove(aside)

    def put_part(self, upload_id: str, number: int, path: Path, sha256: str) -> None:
        """Keep one part of an upload. Parts carry their hash in the name, so that two writers of one number never mix."""
        temporary = f"{self._root}/incoming/{uuid4().hex}"
        with _storage_errors(), path.open("rb") as file, self._removed_on_error(temporary):
            self._write(temporary, iter(lambda: file.read(CHUNK_BYTES), b""))
            self._move(temporary, self._part(upload_id, number, sha256))

    def read_part(self, upload_id: str, number: int, sha256: str) -> Iterator[bytes]:
        """The bytes of one part, a chunk at a time."""
        with _storage_errors(), self._files.open(self._part(upload_id, number, sha256), "rb") as file:
            yield from iter(lambda: cast("bytes", file.read(CHUNK_BYTES)), b"")

    def delete_part(self, upload_id: str, number: int, sha256: str) -> None:
        self._remove(self._part(upload_id, number, sha256))

    def delete_parts(self, upload_id: str) -> None:
        """Drop every part of an upload."""
        self._remove(f"{self._root}/parts/{upload_id}", recursive=True)

    def uploads_with_parts(self) -> set[str]:
        """The identifiers of the uploads of which any part is held."""
        return {Path(entry["name"]).name for entry in self._entries("parts") if entry["type"] == "directory"}

    def contents(self, prefix: int) -> Iterator[tuple[str, int, float]]:
        """sha256, size in bytes and age in seconds of all content whose sha256 begins with the byte `prefix`."""
        now = datetime.now(UTC).timestamp()
        for entry in self._entries(f"sha256/{prefix:02x}"):
            name = Path(entry["name"]).name
            if entry["type"] == "file" and SHA256_PATTERN.fullmatch(name):
                yield name, int(entry["size"]), now - _modified(entry)

    def sweep_temporary(self, older_than_seconds: float) -> int:
        """Drop what writers that died left under temporary names; returns how many files went."""
        now = datetime.now(UTC).timestamp()
        stale = [entry["name"] for entry in self._entries("incoming") if now - _modified(entry) > older_than_seconds]
        for name in stale:
            self._remove(name)
        return len(stale)

    def check(self) -> None:
        """Raise `StorageUnavailable` unless something can be written and removed."""
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
        """What lies in a folder, read anew; nothing when there is no such folder."""
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
            if self._local:  # a row must not point at bytes that a power cut could still take
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
    """The store that the settings name."""
    return ArtifactStore(settings.storage_url, endpoint_url=settings.s3_endpoint_url)


def _modified(entry: dict[str, Any]) -> float:
    moment = entry.get("mtime") or entry.get("LastModified")
    return moment.timestamp() if isinstance(moment, datetime) else float(moment or 0)


@contextmanager
def _storage_errors() -> Generator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ArtifactMissing(f"Storage does not hold {Path(str(error.filename or error)).name}.") from error
    except (OSError, BotoCoreError) as error:
        raise StorageUnavailable(f"Storage did not answer: {error}.") from error
