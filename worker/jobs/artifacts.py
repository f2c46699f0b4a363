"""Stage artifacts of one owner: find, fetch and store outputs of stages by key."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.models import StageArtifact
from app.storage import ArtifactStore, record_blob
from iis_engine.versions import ENGINE_VERSION
from worker.jobs.outputs import open_output
from worker.jobs.progress.stage_usage import UsageMeter

CHUNK_BYTES = 1 << 22
USED_AT_RESOLUTION = timedelta(hours=1)  # `used_at` is not updated more often


def artifact_key(**dependencies: object) -> str:
    """The sha256 of the canonical JSON of everything that an artifact depends on."""
    return hashlib.sha256(json.dumps(dependencies, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def stage_key(stage: str, **dependencies: object) -> str:
    """The key of a stage: the digest of everything that its outputs depend on, including the engine's version."""
    return artifact_key(stage=stage, engine=ENGINE_VERSION, **dependencies)


def output_key(stage: str, name: str) -> str:
    """The key of one output file of a stage."""
    return artifact_key(stage=stage, output=name)


def shard_key(stage: str, name: str) -> str:
    """The key of a shard of an unfinished stage."""
    return output_key(stage, f"shards/{name}")


def safe_name(filename: str) -> str:
    """A file name from a request, reduced to characters that are safe on any disk."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", filename)[-100:].lstrip(".") or "file"


@dataclass(frozen=True)
class StoredFile:
    """An uploaded output of a stage."""

    key: str
    stage: str
    sha256: str
    size_bytes: int
    path: Path  # the local file that was uploaded


@dataclass(frozen=True)
class OwnersArtifacts:
    """The stage artifacts of one owner. Queries filter by owner, so the same key of another owner is never found."""

    owner_id: str
    store: ArtifactStore
    meter: UsageMeter = field(default_factory=UsageMeter, compare=False)
    """Counts the bytes of files that are fetched and uploaded."""

    def find(self, session: Session, keys: Iterable[str]) -> dict[str, str]:
        """The sha256 of each key that exists; updates when they were last used."""
        return {key: sha256 for key, _, sha256 in self._used(session, StageArtifact.key.in_(list(keys)))}

    def find_shards(self, session: Session, stage: str) -> dict[str, str]:
        """Shards of an unfinished stage: file name -> sha256. Their `stage` column is `<stage>/<file name>`."""
        of_stage = StageArtifact.stage.startswith(f"{stage}/", autoescape=True)
        return {name.removeprefix(f"{stage}/"): sha256 for _, name, sha256 in self._used(session, of_stage)}

    def _used(self, session: Session, which: ColumnElement[bool]) -> list[tuple[str, str, str]]:
        """Key, stage and sha256 of matching rows; updates `used_at`, after which unused artifacts expire."""
        mine = (StageArtifact.owner_id == self.owner_id, which)
        columns = select(StageArtifact.key, StageArtifact.stage, StageArtifact.blob_sha256, StageArtifact.used_at)
        found = [(key, stage, sha256, used_at) for key, stage, sha256, used_at in session.execute(columns.where(*mine))]
        stale = sorted(key for key, _, _, used_at in found if used_at < datetime.now(UTC) - USED_AT_RESOLUTION)
        if stale:
            old = (StageArtifact.owner_id == self.owner_id, StageArtifact.key.in_(stale))
            # Lock in one order, so that two transactions never deadlock.
            session.execute(select(StageArtifact.key).where(*old).order_by(StageArtifact.key).with_for_update())
            session.execute(update(StageArtifact).where(*old).values(used_at=func.now()))
        return [(key, stage, sha256) for key, stage, sha256, _ in found]

    def upload(self, key: str, stage: str, path: Path, check: Callable[[], None]) -> StoredFile:
        """Upload a file, calling `check` between chunks. It is unreferenced content until `record` inserts its row."""
        with open_output(path) as file:
            sha256, size_bytes = self.store.put_chunks(_checked(file, check))
        self.meter.add_stored(size_bytes)
        return StoredFile(key, stage, sha256, size_bytes, path)

    def record(self, session: Session, stored: StoredFile) -> None:
        """Insert the row of an uploaded file, in a fenced transaction; the local file must still exist."""
        record_blob(session, stored.sha256, stored.size_bytes)
        if not self.store.exists(stored.sha256):  # the content may have been deleted as unreferenced since the upload
            with open_output(stored.path) as file:
                self.store.put_chunks(_checked(file, lambda: None), expected=(stored.sha256, stored.size_bytes))
        values = {"owner_id": self.owner_id, "key": stored.key, "stage": stored.stage, "blob_sha256": stored.sha256}
        statement = insert(StageArtifact).values(**values)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=[StageArtifact.owner_id, StageArtifact.key],
                set_={"blob_sha256": statement.excluded.blob_sha256, "used_at": func.now()},
            )
        )

    def delete_shards(self, session: Session, stage: str, names: Iterable[str]) -> list[str]:
        """Delete the rows of shards; returns the sha256 of their content, which may now be unreferenced."""
        keys = [shard_key(stage, name) for name in names]
        deleted = delete(StageArtifact).where(StageArtifact.owner_id == self.owner_id, StageArtifact.key.in_(keys))
        return list(session.scalars(deleted.returning(StageArtifact.blob_sha256)))

    def fetch(self, sha256: str, path: Path, check: Callable[[], None]) -> None:
        """Copy stored content to `path`, calling `check` between chunks.

        Raises
        ------
        ArtifactMissing
            When storage does not have it.
        """
        partial = path.with_name(f"{path.name}.partial")
        with self.store.open(sha256) as source, partial.open("wb") as target:
            for chunk in _checked(source, check):
                target.write(chunk)
                self.meter.add_fetched(len(chunk))
        partial.replace(path)


def _checked(file: BinaryIO, check: Callable[[], None]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        check()
        yield chunk
