"""Outputs of stages by key, for one owner: looked up, fetched and stored. No stage is named here."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.models import StageArtifact
from app.storage import ArtifactStore, record_blob
from iis_engine import ENGINE_VERSION

CHUNK_BYTES = 1 << 22
USE_NOTED_EVERY = timedelta(hours=1)  # rather than at each look


def digest_of(**everything_it_depends_on: Any) -> str:
    """sha256 over the canonical JSON of all that decides an output."""
    return hashlib.sha256(json.dumps(everything_it_depends_on, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def stage_key(stage: str, **everything_it_depends_on: Any) -> str:
    """The key of a stage: the digest of all that decides its output, the engine's version among it."""
    return digest_of(stage=stage, engine=ENGINE_VERSION, **everything_it_depends_on)


def output_key(stage: str, name: str) -> str:
    """The key of one file that a stage writes."""
    return digest_of(stage=stage, output=name)


def shard_key(stage: str, name: str) -> str:
    """The key of a shard that an unfinished stage has written."""
    return output_key(stage, f"shards/{name}")


def safe_name(filename: str) -> str:
    """A person's file name as one that is harmless on any disk."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", filename)[-100:].lstrip(".") or "file"


@dataclass(frozen=True)
class StoredFile:
    """A stage's output that lies in storage."""

    key: str
    stage: str
    sha256: str
    size_bytes: int
    path: Path  # where it came from


@dataclass(frozen=True)
class OwnersArtifacts:
    """The stage artifacts of one owner; another owner's are never seen, even under the same key."""

    owner_id: str
    store: ArtifactStore

    def find(self, session: Session, keys: Iterable[str]) -> dict[str, str]:
        """The sha256 of each key that is held; from now on they were used."""
        return {key: sha256 for key, _, sha256 in self._used(session, StageArtifact.key.in_(list(keys)))}

    def find_shards(self, session: Session, stage: str) -> dict[str, str]:
        """Shards of an unfinished stage: file name -> sha256. Their `stage` column is `<stage>/<file name>`."""
        of_stage = StageArtifact.stage.startswith(f"{stage}/", autoescape=True)
        return {name.removeprefix(f"{stage}/"): sha256 for _, name, sha256 in self._used(session, of_stage)}

    def _used(self, session: Session, which: ColumnElement[bool]) -> list[tuple[str, str, str]]:
        """Key, stage and content of what is held, and note that it is in use: what was not for long is dropped."""
        mine = (StageArtifact.owner_id == self.owner_id, which)
        columns = select(StageArtifact.key, StageArtifact.stage, StageArtifact.blob_sha256, StageArtifact.used_at)
        found = [(key, stage, sha256, used_at) for key, stage, sha256, used_at in session.execute(columns.where(*mine))]
        stale = sorted(key for key, _, _, used_at in found if used_at < datetime.now(UTC) - USE_NOTED_EVERY)
        if stale:
            old = (StageArtifact.owner_id == self.owner_id, StageArtifact.key.in_(stale))
            # In one order for all who note the same ones, so that two of them never wait for each other.
            session.execute(select(StageArtifact.key).where(*old).order_by(StageArtifact.key).with_for_update())
            session.execute(update(StageArtifact).where(*old).values(used_at=func.now()))
        return [(key, stage, sha256) for key, stage, sha256, _ in found]

    def upload(self, key: str, stage: str, path: Path, check: Callable[[], None]) -> StoredFile:
        """Put a file into storage, calling `check` as it goes; `record` makes it known. Until then it is unreferenced content."""
        with _opened(path) as file:
            sha256, size_bytes = self.store.put_chunks(_checked(file, check))
        return StoredFile(key, stage, sha256, size_bytes, path)

    def record(self, session: Session, stored: StoredFile) -> None:
        """Make a stored file known under its key, in a fenced transaction; the file must still lie where it was uploaded from."""
        record_blob(session, stored.sha256, stored.size_bytes)
        if not self.store.exists(stored.sha256):  # the same content may have been dropped, unreferenced, since it was uploaded
            with _opened(stored.path) as file:
                self.store.put_chunks(_checked(file, lambda: None), expected=(stored.sha256, stored.size_bytes))
        values = {"owner_id": self.owner_id, "key": stored.key, "stage": stored.stage, "blob_sha256": stored.sha256}
        statement = insert(StageArtifact).values(**values)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=[StageArtifact.owner_id, StageArtifact.key],
                set_={"blob_sha256": statement.excluded.blob_sha256, "used_at": func.now()},
            )
        )

    def forget_shards(self, session: Session, stage: str, names: Iterable[str]) -> list[str]:
        """Drop the rows of shards; returns the content that they referred to, which nothing else may need."""
        keys = [shard_key(stage, name) for name in names]
        gone = delete(StageArtifact).where(StageArtifact.owner_id == self.owner_id, StageArtifact.key.in_(keys))
        return list(session.scalars(gone.returning(StageArtifact.blob_sha256)))

    def fetch(self, sha256: str, path: Path, check: Callable[[], None]) -> None:
        """Copy stored content to `path`, calling `check` as it goes.

        Raises
        ------
        ArtifactMissing
            When storage has lost it.
        """
        partial = path.with_name(f"{path.name}.partial")
        with self.store.open(sha256) as source, partial.open("wb") as target:
            for chunk in _checked(source, check):
                target.write(chunk)
        partial.replace(path)


def _opened(path: Path) -> BinaryIO:
    """A file that the compute process has left, but no link: that might lead to what only we can read."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")


def _checked(file: BinaryIO, check: Callable[[], None]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        check()
        yield chunk
