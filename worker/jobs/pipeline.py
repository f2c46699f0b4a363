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

from app.db.models import Json
from app.storage import ArtifactMissing
from worker.jobs.artifacts import StoredFile, output_key
from worker.jobs.attempt import Attempt
from worker.jobs.shard_storage import ShardStorage
from worker.jobs.sharing.division import SHORTEST_TASK, DivisibleStage, Division
from worker.jobs.sharing.seed_tasks import SHORTEST, SeedTasks, is_long, parts_key
from worker.jobs.sharing.stage_sharing import SharedStages
from worker.jobs.stage import Stage
from worker.jobs.stage_workspace import StageWorkspace, part_field
from worker.metrics import STAGES_REUSED
from worker.sandbox.trees import remove_tree

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
        self._shared: set[tuple[str, str | None]] = set()  # name and part of stages that other workers may have computed
        self._seed_seconds: dict[str, float] = {}  # of the tasks of each stage that was divided by library seed
        self._shards = ShardStorage(attempt, self._workspace)

    def run(self) -> None:
        """Bring every output that is to be stored into storage."""
        for stage in self._stages:
            if not stage.stored:
                continue
            # Read again for each stage: meanwhile another job on the same model and data may have finished it.
            self._stored = self._attempt.write(self._find) | self._stored
            if self._is_stored(stage) and (stage.name, stage.part) in self._shared:
                continue  # another worker has computed it for this job
            if self._is_stored(stage):
                STAGES_REUSED.labels(stage.name).inc()
                self._attempt.stage_event(stage.name, "reused", part=stage.part, workspace=self._workspace)
            elif self._share_runs(stage):
                continue
            else:
                self._divide_seeds(stage)
                began = time.monotonic()
                self._compute(stage)
                long = time.monotonic() - began >= SHORTEST_TASK * self._attempt.runtime.settings.task_seconds
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
            on_output=lambda name, about: self._shards.store(stage, name, about),
            before=partial(self._divide, stage, arguments) if stage.divisible else None,
        )
        folder, artifacts, check = self._workspace.folder, self._attempt.artifacts, self._attempt.stop.check
        outputs = stage.outputs if stage.stored else ()
        uploaded = {name: artifacts.upload(self._keys[name], stage.name, folder / name, check) for name in outputs}
        written = {name: key for name, key in stage.for_others.items() if (folder / name).exists()}
        others = [artifacts.upload(key, stage.name, folder / name, check) for name, key in written.items()]
        files, seconds = [*uploaded.values(), *others], time.monotonic() - began + self._seed_seconds.get(stage.name, 0.0)
        self._attempt.stages.finish(self._workspace.stage_id(stage.name, stage.part), seconds, [self._attempt.runtime.name])
        used = artifacts.meter.take()
        self._shards.drop(self._attempt.write(lambda session: self._record(session, stage, files, seconds, used)))
        self._stored.update({name: file.sha256 for name, file in uploaded.items()})
        self._unstored.update(name for name in stage.outputs if name not in uploaded)
        remove_tree(folder / stage.shard_folder)

    def _divide_seeds(self, stage: Stage) -> None:
        """Compute the curves of a long measurement, and of those after it, together with other workers."""
        if not stage.seeds or stage.name in self._seed_seconds or not is_long(self._attempt, stage, self._workspace, SHORTEST):
            return
        neighbours = takewhile(lambda one: one.independent, self._stages[self._stages.index(stage) :])
        missing = [one for one in neighbours if one.seeds and not self._is_stored(one)]
        self._seed_seconds |= SeedTasks(self._attempt, missing, self._workspace, self._keys).run()
        self._stored = self._attempt.write(self._find) | self._stored
        for name in (name for one in missing for name in one.outputs if name in self._stored):
            self.file(name)  # the matched libraries, which their choice has drawn

    def _share_neighbours(self, stage: Stage) -> None:
        """Compute the stages after an independent one that are independent too, together with other workers."""
        following = self._stages[self._stages.index(stage) + 1 :]
        missing = {one.name: [one] for one in takewhile(lambda one: one.independent, following) if not self._is_stored(one)}
        if len(missing) < 2:
            return
        self._shared |= {(name, None) for name in missing}
        specs = [self._whole_stage(one) for (one,) in missing.values()]

        def compute(name: str) -> None:
            self._compute(missing[name][0])

        SharedStages(self._attempt, "measurements", missing, specs, compute, self._workspace).run()

    def _share_runs(self, stage: Stage) -> bool:
        """Compute the training runs from a stage on together with other workers; False where they are short, or one is left."""
        if stage.run is None or (stage.name, stage.part) in self._shared or not is_long(self._attempt, stage, self._workspace, 1.0):
            return False
        runs: dict[str, list[Stage]] = {}
        for one in self._stages:
            if one.part is not None and not self._is_stored(one):
                runs.setdefault(one.part, []).append(one)
        if len(runs) < 2:
            return False
        self._shared |= {(one.name, one.part) for stages in runs.values() for one in stages}
        specs: list[Json] = [{"task": part, "part": part, "run": part, "stage": stage.name, "of_library": False} for part in runs]
        SharedStages(self._attempt, stage.name, runs, specs, self.compute_part, self._workspace).run()
        self._stored = self._attempt.write(self._find) | self._stored
        return self._is_stored(stage)

    def compute_part(self, part: str) -> None:
        """Compute the stages of a part whose outputs are not stored."""
        for stage in self._stages:
            self._stored = self._attempt.write(self._find) | self._stored
            if stage.part == part and not self._is_stored(stage):
                self._compute(stage)

    def _is_stored(self, stage: Stage) -> bool:
        return all(name in self._stored for name in stage.outputs)

    def _whole_stage(self, stage: Stage) -> Json:
        """What another worker needs to compute a stage, as JSON."""
        return {
            "task": stage.name,
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
            "inputs": {name: self._keys[name] for name in stage.inputs if name in self._keys},
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
            wants="cpu" if stage.on_cpu else self._attempt.runtime.kind,  # processors of another kind round otherwise
            store=lambda name, about: self._shards.store(stage, name, about),
        )
        Division(self._attempt, divided).run()
        self._restore_shards(stage)

    def _record(self, session: Session, stage: Stage, uploaded: Iterable[StoredFile], seconds: float, used: Json) -> list[str]:
        """Insert the rows of the outputs and delete those of the shards; returns the sha256 of the shards' content."""
        artifacts, unreferenced = self._attempt.artifacts, list[str]()
        for file in uploaded:
            artifacts.record(session, file)
        if stage.sharded:
            key = self._shards_key(stage)
            unreferenced = artifacts.delete_shards(session, key, artifacts.find_shards(session, key))
        attempt, fields = self._attempt, {**part_field(stage.part), "state": "finished", "seconds": round(seconds, 3), "usage": used}
        event = {"stage": stage.name, **fields, **self._workspace.event_fields, "worker": attempt.runtime.name}
        attempt.add_event(session, "stage", event)
        return unreferenced

    def _shards_key(self, stage: Stage) -> str:
        return parts_key(stage, self._attempt.job_id) if stage.seeds else stage.key

    def _restore_shards(self, stage: Stage) -> None:
        """Fetch the shards that an earlier attempt or another job has finished; a shard that storage has lost is computed again."""
        folder, artifacts, lost = self._workspace.folder / stage.shard_folder, self._attempt.artifacts, set[str]()
        folder.mkdir(exist_ok=True)
        complete = False
        while not complete:
            complete = True
            shards = self._attempt.write(lambda session: artifacts.find_shards(session, self._shards_key(stage)))
            for name, sha256 in shards.items():
                if sha256 in lost or (folder / name).exists():
                    continue
                try:
                    artifacts.fetch(sha256, folder / name, self._attempt.stop.check)
                except ArtifactMissing:  # lost, or replaced by a newer one of another job, which the next query finds
                    log.warning("artifact_missing", job_id=self._attempt.job_id, name=name, sha256=sha256)
                    lost.add(sha256)
                    complete = False
