"""Store the shards and epochs that the compute process of a stage reports."""

from __future__ import annotations

from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from app.db.models import Json
from app.storage import StorageUnavailable, drop_unreferenced
from worker.jobs.artifacts import StoredFile, shard_key
from worker.jobs.attempt import Attempt
from worker.jobs.stage import Stage
from worker.jobs.stage_workspace import StageWorkspace, part_field
from worker.stages.files import epoch_of

log = structlog.get_logger(__name__)


class ShardStorage:
    """Shards of the stages of one pipeline."""

    def __init__(self, attempt: Attempt, workspace: StageWorkspace) -> None:
        self._attempt = attempt
        self._workspace = workspace
        self._pending_epochs: list[Json] = []  # events of epochs that were not stored

    def store(self, stage: Stage, name: str, about: Json | None) -> None:
        """Store a shard that a stage reports. The child process is not trusted: only the last part of the name is used."""
        path = self._workspace.folder / stage.shard_folder / Path(name).name
        if stage.run is None:
            self._store_shard(stage, path)
        else:
            self._store_epoch(stage, path, {"arm": stage.run.arm, "seed": stage.run.seed, **(about or {})})

    def _store_shard(self, stage: Stage, path: Path) -> None:
        """Store a finished shard and add its event, in one transaction."""
        stored = self._upload_shard(stage, path)
        event = {"stage": stage.name, **part_field(stage.part), "state": "shard", "name": path.name, "worker": self._attempt.runtime.name}
        event |= self._workspace.event_fields

        def record(session: Session) -> None:
            self._attempt.artifacts.record(session, stored)
            self._attempt.add_event(session, "stage", event)

        self._attempt.write(record)

    def _store_epoch(self, stage: Stage, path: Path, event: Json) -> None:
        """Store a finished epoch in place of earlier ones and add its event, in one transaction.

        An epoch is not stored when a newer one is already finished, since a run resumes from the newest; its event is then added
        together with that of the next stored epoch.
        """
        self._pending_epochs.append(event)
        epoch = epoch_of(path.name)
        if all(epoch_of(other.name) <= epoch for other in path.parent.iterdir()):
            stored = self._upload_shard(stage, path)

            def record(session: Session) -> list[str]:
                artifacts = self._attempt.artifacts
                found = artifacts.find_shards(session, stage.key)  # another job may have stored a newer epoch of the same run
                replaced = artifacts.delete_shards(session, stage.key, [name for name in found if epoch_of(name) <= epoch])
                artifacts.record(session, stored)
                for pending in self._pending_epochs:
                    self._attempt.add_event(session, "epoch", pending)
                return replaced

            self.drop(self._attempt.write(record))
            self._pending_epochs.clear()
        path.unlink()  # each holds a whole network

    def _upload_shard(self, stage: Stage, path: Path) -> StoredFile:
        return self._attempt.artifacts.upload(shard_key(stage.key, path.name), f"{stage.key}/{path.name}", path, self._attempt.stop.check)

    def drop(self, contents: list[str]) -> None:
        """Delete unreferenced content. A failure does not fail the job: the garbage collector deletes the content later."""
        store = self._attempt.runtime.store
        for sha256 in contents:
            try:
                self._attempt.write(lambda session, sha256=sha256: drop_unreferenced(session, store, sha256))
            except StorageUnavailable as error:
                log.warning("content_not_deleted", job_id=self._attempt.job_id, sha256=sha256, error=str(error))
