"""Runs stages in order, skipping every one whose output this owner already holds. Which stages there are lives in `worker.score`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.orm import Session

from app.db import transitions
from app.storage import ArtifactMissing
from worker.artifacts import StoredFile, output_key
from worker.attempt import Attempt, Place
from worker.metrics import STAGES_REUSED

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
    sources : what else must lie in the workspace, in the words of `worker.sources`
    sharded : whether it writes finished shards into a folder of its own, which a later attempt is given back
    """

    name: str
    key: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    sources: tuple[str, ...] = ()
    sharded: bool = False

    @property
    def shard_folder(self) -> str:
        return f"{self.name}-shards"


class Pipeline:
    """The stages of one attempt, and the files they have made so far."""

    def __init__(self, attempt: Attempt, stages: list[Stage], *, given: dict[str, str], fetch: Fetch, place: Place | None = None) -> None:
        self._attempt = attempt
        self._place = place or attempt.place
        self._stages = stages
        self._fetch = fetch
        self._maker = {name: stage for stage in stages for name in stage.outputs}
        self._keys = {name: output_key(stage.key, name) for name, stage in self._maker.items()} | given
        self._held: dict[str, str] = {}

    def run(self) -> None:
        """Bring every output into storage."""
        self._held = self._attempt.write(self._find)
        for stage in self._stages:
            if all(name in self._held for name in stage.outputs):
                STAGES_REUSED.labels(stage.name).inc()
                self._attempt.stage_event(stage.name, "reused", self._place)
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
            if name not in self._maker:
                raise
            log.warning("artifact_missing", job_id=self._attempt.job_id, name=name, sha256=self._held[name])
            self._compute(self._maker[name])
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
        self._attempt.compute(stage.name, arguments, place=self._place, on_output=lambda name: self._keep_shard(stage, name))
        workspace, artifacts, check = self._place.folder, self._attempt.artifacts, self._attempt.stop.check
        stored = [artifacts.upload(self._keys[name], stage.name, workspace / name, check) for name in stage.outputs]
        self._attempt.write(lambda session: self._record(session, stage, stored, time.monotonic() - began))
        self._held.update(zip(stage.outputs, (file.sha256 for file in stored), strict=True))

    def _record(self, session: Session, stage: Stage, stored: list[StoredFile], seconds: float) -> None:
        for file in stored:
            self._attempt.artifacts.record(session, file)
        if stage.sharded:
            self._attempt.artifacts.forget_shards(session, stage.key)
        event = {"stage": stage.name, "state": "finished", "seconds": round(seconds, 3), **self._place.told}
        transitions.add_event(session, self._attempt.job_id, self._attempt.token, "stage", event)

    def _give_back_shards(self, stage: Stage) -> None:
        """Fetch what an earlier attempt finished; a shard that is lost is computed again."""
        folder = self._place.folder / stage.shard_folder
        folder.mkdir(exist_ok=True)
        shards = self._attempt.write(lambda session: self._attempt.artifacts.find_shards(session, stage.key))
        for name, sha256 in shards.items():
            try:
                self._attempt.artifacts.fetch(sha256, folder / name, self._attempt.stop.check)
            except ArtifactMissing:
                log.warning("artifact_missing", job_id=self._attempt.job_id, name=name, sha256=sha256)

    def _keep_shard(self, stage: Stage, name: str) -> None:
        """Store a finished shard. The name comes from the compute process, so it is taken as a bare file name."""
        name = Path(name).name
        key = output_key(stage.key, f"shards/{name}")
        path = self._place.folder / stage.shard_folder / name
        stored = self._attempt.artifacts.upload(key, f"{stage.key}/{name}", path, self._attempt.stop.check)

        def record(session: Session) -> None:
            self._attempt.artifacts.record(session, stored)
            event = {"stage": stage.name, "state": "shard", "name": name, **self._place.told}
            transitions.add_event(session, self._attempt.job_id, self._attempt.token, "stage", event)

        self._attempt.write(record)
