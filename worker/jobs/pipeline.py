"""Run stages in order; skip each stage whose outputs this owner already has in storage."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import takewhile
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from app.db import transitions
from app.db.models import Json
from app.storage import ArtifactMissing, StorageUnavailable, drop_unreferenced
from worker.jobs.artifacts import StoredFile, output_key, shard_key
from worker.jobs.attempt import Attempt, StageWorkspace, part_field
from worker.jobs.sharing.division import DivisibleStage, Division
from worker.jobs.sharing.seed_tasks import SeedTasks, is_long
from worker.jobs.sharing.stage_sharing import share_stages
from worker.jobs.stage import Stage
from worker.metrics import STAGES_REUSED
from worker.sandbox.trees import remove_tree
from worker.stages.files import epoch_of

FetchSources = Callable[[tuple[str, ...]], Json]
"""Put the named sources into the workspace; return what stages need to find them."""

log = structlog.get_logger(__name__)


class Pipeline:
    """The stages of one attempt, and the files that they have made so far.

    Parameters
    ----------
    given : artifact keys of files that earlier jobs or another pipeline have made, by file name
    workspace : the attempt's own unless given
    made_by : the pipeline that made the given files, and makes them again when storage has lost them
    """

    def __init__(
        self,
        attempt: Attempt,
        stages: list[Stage],
        *,
        given: dict[str, str],
        fetch: FetchSources,
        workspace: StageWorkspace | None = None,
        made_by: Pipeline | None = None,
    ) -> None:
        self._attempt = attempt
        self._workspace = workspace or attempt.workspace
        self._stages = stages
        self._fetch = fetch
        self._made_by = made_by
        self._maker = {name: stage for stage in stages for name in stage.outputs}
        self._keys = {name: output_key(stage.key, name) for name, stage in self._maker.items() if stage.stored} | given
        self._stored: dict[str, str] = {}  # file name -> sha256
        self._unstored: set[str] = set()  # names of outputs in the workspace that do not go to storage
        self._shared: set[str] = set()  # names of stages that other workers may have computed
        self._seed_seconds: dict[str, float] = {}  # of the tasks of each stage that was divided by library seed
        self._pending_epochs: list[Json] = []  # events of epochs that were not stored

    def run(self) -> None:
        """Bring every output that is to be stored into storage."""
        for stage in self._stages:
            if not stage.stored:
                continue
            # Read again for each stage: meanwhile another job on the same model and data may have finished it.
            self._stored = self._attempt.write(self._find) | self._stored
            if stage.name in self._shared and all(name in self._stored for name in stage.outputs):
                continue  # another worker has computed it for this job
            if all(name in self._stored for name in stage.outputs):
                STAGES_REUSED.labels(stage.name).inc()
                self._attempt.stage_event(stage.name, "reused", part=stage.part, workspace=self._workspace)
            else:
                self._divide_seeds(stage)
                began = time.monotonic()
                self._compute(stage)
                long = time.monotonic() - began >= self._attempt.runtime.settings.task_seconds
                if stage.independent and stage.name not in self._seed_seconds and long:
                    self._share_neighbours(stage)
        for stage in self._stages:  # made when another stage needs them
            if not stage.stored:
                self._attempt.stages.skip(self._workspace.stage_id(stage.name, stage.part))
        if self._attempt.stages.changed:
            self._attempt.store_stages()

    def key(self, name: str) -> str:
        """The artifact key of a file."""
        return self._keys[name]

    def sha256(self, name: str) -> str:
        """The sha256 of a stored file, after `run`."""
        return self._stored[name]

    def file(self, name: str) -> Path:
        """A file in the workspace: fetched if only storage has it, computed again if storage has lost it."""
        path, maker = self._workspace.folder / name, self._maker.get(name)
        if maker is not None and not maker.stored:
            if name not in self._unstored:
                self._compute(maker)
            return path
        if path.exists():
            return path
        try:
            self._attempt.artifacts.fetch(self._stored[name], path, self._attempt.stop.check)
        except ArtifactMissing:
            log.warning("artifact_missing", job_id=self._attempt.job_id, name=name, sha256=self._stored[name])
            if maker is not None:
                self._compute(maker)
            elif self._made_by is not None:
                os.link(self._made_by.file(name), path)
            else:
                raise
        return path

    def _find(self, session: Session) -> dict[str, str]:
        found = self._attempt.artifacts.find(session, self._keys.values())
        return {name: found[key] for name, key in self._keys.items() if key in found}

    def _compute(self, stage: Stage) -> None:
        sources = self._fetch(stage.sources)
        for name in stage.inputs:
            self.file(name)
        if stage.sharded:
            self._restore_shards(stage)
        began = time.monotonic()
        arguments = stage.arguments | {"sources": sources, "shard_folder": stage.shard_folder}
        self._attempt.run_stage(
            stage.name,
            arguments,
            network=stage.network,
            part=stage.part,
            workspace=self._workspace,
            on_output=lambda name, about: self._store_output(stage, name, about),
            before=partial(self._divide, stage, arguments) if stage.divisible else None,
        )
        folder, artifacts, check = self._workspace.folder, self._attempt.artifacts, self._attempt.stop.check
        outputs = stage.outputs if stage.stored else ()
        uploaded = {name: artifacts.upload(self._keys[name], stage.name, folder / name, check) for name in outputs}
        written = {name: key for name, key in stage.for_others.items() if (folder / name).exists()}
        others = [artifacts.upload(key, stage.name, folder / name, check) for name, key in written.items()]
        files, seconds = [*uploaded.values(), *others], time.monotonic() - began + self._seed_seconds.get(stage.name, 0.0)
        self._attempt.stages.finish(self._workspace.stage_id(stage.name, stage.part), seconds, [self._attempt.runtime.name])
        self._drop(self._attempt.write(lambda session: self._record(session, stage, files, seconds)))
        self._stored.update({name: file.sha256 for name, file in uploaded.items()})
        self._unstored.update(name for name in stage.outputs if name not in uploaded)
        remove_tree(folder / stage.shard_folder)

    def _divide_seeds(self, stage: Stage) -> None:
        """Compute the curves of a long measurement, and of those after it, together with other workers."""
        if not stage.seeds or stage.name in self._seed_seconds or not is_long(self._attempt, stage, self._workspace):
            return
        neighbours = takewhile(lambda one: one.independent, self._stages[self._stages.index(stage) :])
        missing = [one for one in neighbours if one.seeds and not all(name in self._stored for name in one.outputs)]
        self._seed_seconds |= SeedTasks(self._attempt, missing, self._workspace, self._keys).run()
        self._stored = self._attempt.write(self._find) | self._stored
        for name in (name for one in missing for name in one.outputs if name in self._stored):
            self.file(name)  # the matched libraries, which their choice has drawn

    def _share_neighbours(self, stage: Stage) -> None:
        """Compute the stages after an independent one that are independent too, together with other workers."""
        following = self._stages[self._stages.index(stage) + 1 :]
        missing = [
            one for one in takewhile(lambda one: one.independent, following) if not all(name in self._stored for name in one.outputs)
        ]
        if len(missing) < 2:
            return
        by_name = {one.name: one for one in missing}
        self._shared |= by_name.keys()
        specs = [self._whole_stage(one) for one in missing]
        share_stages(self._attempt, specs, lambda name: self._compute(by_name[name]), self._workspace)

    def _whole_stage(self, stage: Stage) -> Json:
        """What another worker needs to compute a stage, as JSON."""
        return {
            "stage": stage.name,
            "key": stage.key,
            "arguments": stage.arguments,
            "inputs": {name: self._keys[name] for name in stage.inputs},
            "outputs": {name: self._keys[name] for name in stage.outputs},
            "of_library": self._workspace.of_library,
        }

    def _divide(self, stage: Stage, arguments: Json) -> None:
        """Compute the shards of a stage together with other workers, and fetch those that they have computed."""
        before = [maker for name in stage.inputs if (maker := self._maker.get(name)) is not None and not maker.stored]
        spec: Json = {
            "part": stage.part,
            "key": stage.key,
            "arguments": stage.arguments,
            "sources": list(stage.sources),
            "network": stage.network,
            "shard_folder": stage.shard_folder,
            "of_library": self._workspace.of_library,
            "prepare": [{"stage": one.name, "sources": list(one.sources), "network": one.network} for one in before],
        }
        divided = DivisibleStage(
            name=stage.name,
            key=stage.key,
            part=stage.part,
            spec=spec,
            arguments=arguments,
            network=stage.network,
            workspace=self._workspace,
            store=lambda name, about: self._store_output(stage, name, about),
        )
        Division(self._attempt, divided).run()
        self._restore_shards(stage)

    def _record(self, session: Session, stage: Stage, uploaded: Iterable[StoredFile], seconds: float) -> list[str]:
        """Insert the rows of the outputs and delete those of the shards; returns the sha256 of the shards' content."""
        artifacts, unreferenced = self._attempt.artifacts, list[str]()
        for file in uploaded:
            artifacts.record(session, file)
        if stage.sharded:
            unreferenced = artifacts.delete_shards(session, stage.key, artifacts.find_shards(session, stage.key))
        attempt, fields = self._attempt, {**part_field(stage.part), "state": "finished", "seconds": round(seconds, 3)}
        event = {"stage": stage.name, **fields, **self._workspace.event_fields, "worker": attempt.runtime.name}
        transitions.add_event(session, attempt.job_id, attempt.token, "stage", event, stages=attempt.stages.to_json())
        return unreferenced

    def _restore_shards(self, stage: Stage) -> None:
        """Fetch the shards that an earlier attempt or another job has finished; a shard that storage has lost is computed again."""
        folder, artifacts, lost = self._workspace.folder / stage.shard_folder, self._attempt.artifacts, set[str]()
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
                except ArtifactMissing:  # lost, or replaced by a newer one of another job, which the next query finds
                    log.warning("artifact_missing", job_id=self._attempt.job_id, name=name, sha256=sha256)
                    lost.add(sha256)
                    complete = False

    def _store_output(self, stage: Stage, name: str, about: Json | None) -> None:
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
            transitions.add_event(session, self._attempt.job_id, self._attempt.token, "stage", event)

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
                    transitions.add_event(session, self._attempt.job_id, self._attempt.token, "epoch", pending)
                return replaced

            self._drop(self._attempt.write(record))
            self._pending_epochs.clear()
        path.unlink()  # each holds a whole network

    def _upload_shard(self, stage: Stage, path: Path) -> StoredFile:
        return self._attempt.artifacts.upload(shard_key(stage.key, path.name), f"{stage.key}/{path.name}", path, self._attempt.stop.check)

    def _drop(self, contents: list[str]) -> None:
        """Delete unreferenced content. A failure does not fail the job: the garbage collector deletes the content later."""
        store = self._attempt.runtime.store
        for sha256 in contents:
            try:
                self._attempt.write(lambda session, sha256=sha256: drop_unreferenced(session, store, sha256))
            except StorageUnavailable as error:
                log.warning("content_not_deleted", job_id=self._attempt.job_id, sha256=sha256, error=str(error))
