"""Divide the measurements of a score into tasks: the choice of strengths of each, then the curves of the library seeds.

Their files belong to this job. The stages run afterwards on this worker, join what is finished and compute the rest, so their numbers do
not depend on which worker computed a part.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.db import tasks, transitions
from app.db.job_rows import LeaseLost
from app.db.models import Json
from app.db.task_progress import ENDED, TaskState, task_states
from app.db.tasks import ClaimedTask
from app.queue import wake_workers
from worker.jobs.artifacts import artifact_key, output_key, shard_key
from worker.jobs.attempt import Attempt
from worker.jobs.sharing.division import SHORTEST_TASK
from worker.jobs.sharing.file_tasks import compute_file_task
from worker.jobs.stage import Stage
from worker.jobs.stage_workspace import StageWorkspace
from worker.metrics import TASK_SECONDS, TASKS_ENDED
from worker.stages.files import CHOICE, FEATURES, MATCHED_LIBRARIES, seed_file

WAIT_SECONDS = 0.5  # between looks at tasks of other workers
SHORTEST = 2.0  # task times that a measurement must take to be divided
CHOICE_PER_SEED = 2.0  # time of a choice relative to that of one seed's curve, about


def parts_key(stage: Stage, job_id: str) -> str:
    """The key of the choice and curves of a measurement: of one job, because curves of different choices must not be joined."""
    return artifact_key(stage=stage.key, job=job_id)


def is_long(attempt: Attempt, stage: Stage, workspace: StageWorkspace, shortest: float) -> bool:
    """Whether a stage is expected to take at least `shortest` times the time of a task."""
    weight_seconds = attempt.stages.weight_seconds(workspace.stage_id(stage.name, stage.part))
    return weight_seconds >= shortest * attempt.runtime.settings.task_seconds


def compute_threads() -> int:
    """Threads of a compute process on this worker."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


class SeedTasks:
    """The tasks of some measurements in one attempt.

    Parameters
    ----------
    stages : measurements with `seeds`, none of which needs the output of another
    keys : artifact keys by file name, of their inputs
    """

    def __init__(self, attempt: Attempt, stages: Sequence[Stage], workspace: StageWorkspace, keys: Mapping[str, str]) -> None:
        self._attempt = attempt
        self._stages = {stage.name: stage for stage in stages}
        self._workspace = workspace
        self._keys = keys
        self._states: dict[str, list[TaskState]] = {}  # by group of tasks
        self._reported: dict[str, dict[str, int]] = {}  # counts of tasks by stage

    def run(self) -> dict[str, float]:
        """Compute the tasks together with idle workers; returns the seconds that the tasks of each stage took."""
        self._share("choices", [self._choice(stage) for stage in self._stages.values()])
        chosen = {one.spec["of"]: one.seconds for one in self._states["choices"] if one.state == "done" and one.seconds is not None}
        curves = [spec for name, seconds in chosen.items() for spec in self._curves(self._stages[name], seconds)]
        self._share("curves", curves)
        for name in self._stages:
            self._attempt.stages.add_workers(self._workspace.stage_id(name), (one.worker for one in self._of(name) if one.worker))
        return {name: sum(one.seconds or 0.0 for one in self._of(name) if one.state == "done") for name in self._stages}

    def _choice(self, stage: Stage) -> Json:
        files = [f"{stage.shard_folder}/{CHOICE}"]
        spec = self._spec(stage, "choose_strengths", stage.inputs, files, {})
        if MATCHED_LIBRARIES in stage.outputs:  # an output of the stage itself, which the curves read
            spec["outputs"][MATCHED_LIBRARIES] = output_key(stage.key, MATCHED_LIBRARIES)
            spec["labels"][MATCHED_LIBRARIES] = stage.name
        return spec

    def _curves(self, stage: Stage, choice_seconds: float) -> list[Json]:
        """Tasks of consecutive seeds that take a fifth of `IIS_TASK_SECONDS` or more, by the time of the choice."""
        shortest = self._attempt.runtime.settings.task_seconds * SHORTEST_TASK
        per_task = math.ceil(shortest * CHOICE_PER_SEED / max(choice_seconds, 1e-6))
        size = min(max(per_task, compute_threads()), stage.seeds)  # a task solves its seeds side by side, one thread each
        drawn = MATCHED_LIBRARIES in stage.outputs
        inputs = [FEATURES, MATCHED_LIBRARIES] if drawn else [name for name in stage.inputs if name in self._keys]
        specs = list[Json]()
        for first in range(0, stage.seeds, size):
            seeds = list(range(first, min(first + size, stage.seeds)))
            files = [f"{stage.shard_folder}/{seed_file(seed)}" for seed in seeds]
            spec = self._spec(stage, "measure_seeds", inputs, files, {"seeds": seeds})
            choice = {f"{stage.shard_folder}/{CHOICE}": shard_key(self._parts(stage), CHOICE)}
            specs.append(spec | {"inputs": spec["inputs"] | choice})
        return specs

    def _spec(self, stage: Stage, part: str, inputs: Iterable[str], files: Iterable[str], arguments: Json) -> Json:
        names, parts = {file: file.rpartition("/")[2] for file in files}, self._parts(stage)
        return {
            "stage": part,
            "of": stage.name,
            "key": stage.key,
            "arguments": stage.arguments | {"of": stage.name, "shard_folder": stage.shard_folder, **arguments},
            "inputs": {name: self._keys[name] for name in inputs},
            "outputs": {file: shard_key(parts, name) for file, name in names.items()},
            "labels": {file: f"{parts}/{name}" for file, name in names.items()},
            "of_library": self._workspace.of_library,
        }

    def _parts(self, stage: Stage) -> str:
        return parts_key(stage, self._attempt.job_id)

    def _share(self, group: str, specs: Sequence[Json]) -> None:
        attempt, self._states[group] = self._attempt, []
        if not specs:
            return

        def plan(session: Session) -> str:
            planned = tasks.plan_with(session, attempt.job_id, group, [spec["outputs"] for spec in specs])
            if planned is not None:  # by an earlier attempt, whose finished tasks are not repeated
                return planned
            digest = artifact_key(group=group, tasks=[[spec["key"], list(spec["outputs"])] for spec in specs])
            tasks.plan(session, attempt.job_id, group, digest, [(spec, 1) for spec in specs], attempt.runtime.kind)
            for name in self._stages:
                counts = {"stage": name, "state": "divided", "tasks": sum(spec["of"] == name for spec in specs)}
                event = counts | self._workspace.event_fields
                transitions.add_event(session, attempt.job_id, attempt.token, "stage", event)
            return digest

        digest = attempt.write(plan)
        wake_workers(attempt.job_id, len(specs) - 1, attempt.runtime.settings.redis_url)
        while not self._look(group, digest):
            task = attempt.write(lambda session: self._claim(session, digest))
            if task is not None:
                self._run_here(task)
            else:
                attempt.check_deadline()
                attempt.stop.event.wait(WAIT_SECONDS)

    def _claim(self, session: Session, digest: str) -> ClaimedTask | None:
        attempt, runtime = self._attempt, self._attempt.runtime
        return tasks.claim_own(session, attempt.job_id, digest, runtime.name, attempt.token, runtime.settings.lease_seconds)

    def _run_here(self, task: ClaimedTask) -> None:
        began, of = time.monotonic(), str(task.spec["of"])
        self._attempt.stages.start(self._workspace.stage_id(of), self._attempt.runtime.name)
        self._report(of)
        try:
            compute_file_task(self._attempt, task, self._workspace)
        except BaseException:
            with suppress(SQLAlchemyError, LeaseLost), self._attempt.runtime.sessions.begin() as session:
                tasks.release(session, task)  # the next attempt, or another worker, starts it at once
            raise
        TASKS_ENDED.labels(of, "done").inc()
        TASK_SECONDS.labels(of).observe(time.monotonic() - began)

    def _look(self, group: str, digest: str) -> bool:
        """Read and report the tasks of a group; whether all have ended."""
        attempt = self._attempt
        found = self._states[group] = attempt.write(lambda session: task_states(session, attempt.job_id, digest))
        running = [one for one in found if one.state == "running" and one.worker is not None]
        for one in running:
            attempt.stages.start(self._workspace.stage_id(one.spec["of"]), one.worker or "")
        for name in {str(one.spec["of"]) for one in running}:
            self._report(name)
        return all(one.state in ENDED for one in found)

    def _report(self, name: str) -> None:
        """Report the tasks of a stage where their counts have changed."""
        found, where = self._of(name), self._workspace
        counts = {"done": sum(one.state in ENDED for one in found), "total": len(found)}
        counts["workers"] = len({one.worker for one in found if one.state == "running"})
        if self._reported.get(name) != counts:
            self._reported[name] = counts
            self._attempt.report(name, counts["done"], counts["total"], None, part=None, workspace=where, tasks=counts)

    def _of(self, name: str) -> list[TaskState]:
        """Tasks of a stage in all groups."""
        return [one for found in self._states.values() for one in found if one.spec["of"] == name]
