"""Runs stages in order, skipping every one whose output this owner already holds. Which stages there are lives in `worker.jobs.score`."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.orm import Session

from app.db import transitions
from app.storage import ArtifactMissing, StorageUnavailable, drop_unreferenced
from worker.jobs.artifacts import StoredFile, output_key, shard_key
from worker.jobs.attempt import Attempt, StageWorkspace, part_of
from worker.metrics import STAGES_REUSED
from worker.stages.files import epoch_of

Fetch = Callable[[tuple[str, ...]], dict[str, Any]]
"""Puts named sources into the workspace and says where they are."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Stage:
    """One step from files to files.

    Attributes
    ----------
    key : digest of everything the output depends on
    inputs, outputs : names of files in the workspace
    arguments : JSON for the compute process
    sources : what else must lie in the workspace, in the words of `worker.jobs.inputs`
    sharded : whether it writes finished shards into a folder of its own, which a later attempt is given back
    part : which of several runs of the stage in one job this is, in words
    epochs_of : of a training run, the names it goes by; its shards are then epochs, each of which has an event and replaces the one before
    """

    name: str
    key: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    sources: tuple[str, ...] = ()
    sharded: bool = False
    part: str | None = None
    epochs_of: dict[str, Any] | None = None

    @property
    def shard_folder(self) -> str:
        return f"{self.name}-{re.sub('[^a-z0-9]+', '-', self.part)}-shards" if self.part else f"{self.name}-shards"


class Pipeline:
    """The stages of one attempt, and the files they have made so far.

    Parameters
    ----------
    given : keys of files that are held already, by the names that the stages know them by
    fetch : of what the stages read beside files
    place : where they work, unless it is the attempt's own
    elsewhere : the pipeline that has made those given, and makes them again where storage has lost them
    """

    def __init__(
        self,
        attempt: Attempt,
        stages: list[Stage],
        *,
        given: dict[str, str],
        fetch: Fetch,
        place: StageWorkspace | None = None,
        elsewhere: Pipeline | None = None,
    ) -> None:
        self._attempt = attempt
        self._place = place or attempt.place
        self._stages = stages
        self._fetch = fetch
        self._elsewhere = elsewhere
        self._maker = {name: stage for stage in stages for name in stage.outputs}
        self._keys = {name: output_key(stage.key, name) for name, stage in self._maker.items()} | given
        self._held: dict[str, str] = {}
        self._untold: list[dict[str, Any]] = []  # events of epochs that were passed over

    def run(self) -> None:
        """Bring every output into storage."""
        for stage in self._stages:
            # Looked up anew each time: another job on the same model and data may have finished the stage since.
            self._held = self._attempt.write(self._find) | self._held
            if all(name in self._held for name in stage.outputs):
                STAGES_REUSED.labels(stage.name).inc()
                self._attempt.stage_event(stage.name, "reused", part=stage.part, place=self._place)
            else:
                self._compute(stage)

    def key(self, name: str) -> str:
        """The key under which a file is held."""
        return self._keys[name]

    def sha256(self, name: str) -> str:
        """The content that is held for a file, after `run`."""
        return self._held[name]

    def file(self, name: str) -> Path:
        """A file in the workspace, fetched if it lies only in storage, computed again if storage has lost it."""
        path = self._place.folder / name
        if path.exists():
            return path
        try:
            self._attempt.artifacts.fetch(self._held[name], path, self._attempt.stop.check)
        except ArtifactMissing:
            log.warning("artifact_missing", job_id=self._attempt.job_id, name=name, sha256=self._held[name])
            if name in self._maker:
                self._compute(self._maker[name])
            elif self._elsewhere is not None:
                os.link(self._elsewhere.file(name), path)
            else:
                raise
        return path

    def _find(self, session: Session) -> dict[str, str]:
        found = self._attempt.artifacts.find(session, self._keys.values())
        return {name: found[key] for name, key in self._keys.items() if key in found}

    def _compute(self, stage: Stage) -> None:
        for name in stage.inputs:
            self.file(name)
        sources = self._fetch(stage.sources)
        if stage.sharded:
            self._give_back_shards(stage)
        began = time.monotonic()
        arguments = stage.arguments | {"sources": sources, "shard_folder": stage.shard_folder}
        self._attempt.compute(
            stage.name,
            arguments,
            part=stage.part,
            place=self._place,
            on_output=lambda name, about: self._keep(stage, name, about),
        )
        workspace, artifacts, check = self._place.folder, self._attempt.artifacts, self._attempt.stop.check
        stored = [artifacts.upload(self._keys[name], stage.name, workspace / name, check) for name in stage.outputs]
        self._drop(self._attempt.write(lambda session: self._record(session, stage, stored, time.monotonic() - began)))
        self._held.update(zip(stage.outputs, (file.sha256 for file in stored), strict=True))
        shutil.rmtree(workspace / stage.shard_folder, ignore_errors=True)

    def _record(self, session: Session, stage: Stage, stored: list[StoredFile], seconds: float) -> list[str]:
        """Make the outputs known and forget the shards; returns what content those had."""
        artifacts, forgotten = self._attempt.artifacts, list[str]()
        for file in stored:
            artifacts.record(session, file)
        if stage.sharded:
            forgotten = artifacts.forget_shards(session, stage.key, artifacts.find_shards(session, stage.key))
        told = {**part_of(stage.part), "state": "finished", "seconds": round(seconds, 3), **self._place.told}
        event = {"stage": stage.name, **told}
        transitions.add_event(session, self._attempt.job_id, self._attempt.token, "stage", event)
        return forgotten

    def _give_back_shards(self, stage: Stage) -> None:
        """Fetch what an earlier attempt, or another job, has finished; a shard that is lost is computed again."""
        folder, artifacts, lost = self._place.folder / stage.shard_folder, self._attempt.artifacts, set[str]()
        folder.mkdir(exist_ok=True)
        complete = False
        while not complete:
            complete = True
            shards = self._attempt.write(lambda session: artifacts.find_shards(session, stage.key))
            for name, sha256 in shards.items():
                if sha256 in lost or (folder / name).exists():
                    continue
                try:
                    artifacts.fetch(sha256, folder / name, self._attempt.stop.check)
                except ArtifactMissing:  # lost, or replaced by a newer one of another job, which the next look finds
                    log.warning("artifact_missing", job_id=self._attempt.job_id, name=name, sha256=sha256)
                    lost.add(sha256)
                    complete = False

    def _keep(self, stage: Stage, name: str, about: dict[str, Any] | None) -> None:
        """Store what a stage has announced. The name comes from the compute process: it is taken as a bare file name."""
        path = self._place.folder / stage.shard_folder / Path(name).name
        if stage.epochs_of is None:
            self._keep_shard(stage, path)
        else:
            self._keep_epoch(stage, path, {**stage.epochs_of, **(about or {})})

    def _keep_shard(self, stage: Stage, path: Path) -> None:
        """Store a finished shard and say so, both or neither."""
        stored = self._upload_shard(stage, path)
        event = {"stage": stage.name, **part_of(stage.part), "state": "shard", "name": path.name, **self._place.told}

        def record(session: Session) -> None:
            self._attempt.artifacts.record(session, stored)
            transitions.add_event(session, self._attempt.job_id, self._attempt.token, "stage", event)

        self._attempt.write(record)

    def _keep_epoch(self, stage: Stage, path: Path, event: dict[str, Any]) -> None:
        """Store a finished epoch in place of those before it, and say so, both or neither.

        When a newer one has been finished while the last was being stored, this one is passed over, for a run goes on from the newest
        alone; its event is told together with the next that is stored.
        """
        self._untold.append(event)
        epoch = epoch_of(path.name)
        if all(epoch_of(other.name) <= epoch for other in path.parent.iterdir()):
            stored = self._upload_shard(stage, path)

            def record(session: Session) -> list[str]:
                artifacts = self._attempt.artifacts
                held = artifacts.find_shards(session, stage.key)  # another job in the same run may be further on
                replaced = artifacts.forget_shards(session, stage.key, [name for name in held if epoch_of(name) <= epoch])
                artifacts.record(session, stored)
                for told in self._untold:
                    transitions.add_event(session, self._attempt.job_id, self._attempt.token, "epoch", told)
                return replaced

            self._drop(self._attempt.write(record))
            self._untold.clear()
        path.unlink()  # every one holds a whole network

    def _upload_shard(self, stage: Stage, path: Path) -> StoredFile:
        return self._attempt.artifacts.upload(shard_key(stage.key, path.name), f"{stage.key}/{path.name}", path, self._attempt.stop.check)

    def _drop(self, contents: list[str]) -> None:
        """Drop content from storage that no row needs any more. What cannot be dropped now costs room, but not the job."""
        store = self._attempt.runtime.store
        for sha256 in contents:
            try:
                self._attempt.write(lambda session, sha256=sha256: drop_unreferenced(session, store, sha256))
            except StorageUnavailable as error:
                log.warning("content_left_behind", job_id=self._attempt.job_id, sha256=sha256, error=str(error))
