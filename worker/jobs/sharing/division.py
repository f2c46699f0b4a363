"""Divide a stage of a running job into tasks, compute some here, and wait for those that other workers compute.

A task is a range of shards. They are artifacts under the stage's key, so the stage itself, which runs afterwards on this worker, reads
them where they are finished and computes the others: its numbers do not depend on which worker computed a shard.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.db import task_progress, tasks, transitions
from app.db.job_rows import LeaseLost
from app.db.models import Json
from app.db.scheduling import WorkerKind
from app.db.task_progress import TaskCounts
from app.db.tasks import ClaimedTask
from app.queue import wake_workers
from iis_engine.progress import no_progress
from worker.jobs.artifacts import artifact_key, output_key
from worker.jobs.attempt import Attempt
from worker.jobs.progress.throttle import ProgressThrottle
from worker.jobs.stage_workspace import StageWorkspace, part_field
from worker.metrics import TASK_SECONDS, TASKS_ENDED
from worker.sandbox.outcomes import ChildLost, StageRefused
from worker.stages.files import READING

SHARDS_MAX, UNITS_MAX = 100_000, 2**31 - 1  # of a plan, which the child process makes
SHARD_NAME = re.compile(r"[a-z]{1,20}-[0-9]{5,10}\.(?:safetensors|jsonl)")
WAIT_SECONDS = 0.5  # between looks at tasks of other workers
SHARE_OF_REST, SHORTEST_TASK = 1 / 8, 1 / 5  # of a task: of the work that is left, and of `IIS_TASK_SECONDS`

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class DivisibleStage:
    """A stage whose shards several workers may compute.

    Attributes
    ----------
    spec : what another worker needs to compute shards of the stage, as JSON: settings, names of sources, and stages to run before
    arguments : for the child process of this worker, with the paths of its sources
    wants : kind of worker that computes its tasks
    store : store a shard that the child process of this worker reports
    """

    name: str
    key: str
    part: str | None
    spec: Json
    arguments: Json
    network: bool
    workspace: StageWorkspace
    wants: WorkerKind
    store: Callable[[str, Json | None], None]


@dataclass(frozen=True)
class PlannedShard:
    """File name of a shard, and the images or elements in it."""

    name: str
    units: int


class Division:
    """The tasks of one stage in one attempt at a job."""

    def __init__(self, attempt: Attempt, stage: DivisibleStage) -> None:
        self._attempt = attempt
        self._stage = stage
        self._digest = artifact_key(stage=stage.key, spec=stage.spec)
        self._counts = TaskCounts(0, 0, 0, 0, 0, 0, 0)
        self._finished_before = 0  # units of shards that are no task
        self._shard_size = 0
        self._total = 0
        self._own_done = 0
        self._throttle = ProgressThrottle(self._report)

    def run(self) -> None:
        """Compute the shards together with idle workers; returns when no task is left to do. Short stages are not divided."""
        try:
            self._run()
        except StageRefused as error:
            log.info("division_ended", code=error.error["code"])  # the stage itself meets the same error, or can do without
            self._attempt.write(lambda session: tasks.leave_queued(session, self._attempt.job_id, self._digest))

    def _run(self) -> None:
        self._read_counts()
        if not self._counts.total:
            shards, self._finished_before, self._shard_size = read_plan(self._child("plan_shards"))
            if len(shards) < 2:
                return
            self._total = self._finished_before + sum(shard.units for shard in shards)
            self._progress(0)
            seconds = self._measure(shards[0])
            planned = group_shards([shard.units for shard in shards[1:]], shards[0].units, seconds, self._task_seconds)
            if len(planned) < 2:
                return
            self._plan([shards[1:][start:end] for start, end in planned])
        self._total = self._finished_before + self._counts.units
        while True:
            task = self._claim()
            if task is not None:
                self._run_task(task)
            elif self._counts.queued or self._counts.running:
                self._attempt.check_deadline()
                self._attempt.stop.event.wait(WAIT_SECONDS)
            else:
                break
            self._progress(0)
        attempt = self._attempt
        workers = attempt.write(lambda session: task_progress.workers_of(session, attempt.job_id, self._digest))
        attempt.stages.add_workers(self._stage.workspace.stage_id(self._stage.name, self._stage.part), workers)

    @property
    def _task_seconds(self) -> float:
        return self._attempt.runtime.settings.task_seconds

    def _measure(self, shard: PlannedShard) -> float:
        """Compute one shard; returns the seconds that it took."""
        began = time.monotonic()
        self._child("compute_shards", shards=[shard.name], on_progress=lambda done, _: self._progress(done))
        self._finished_before += shard.units
        return time.monotonic() - began

    def _plan(self, ranges: Sequence[Sequence[PlannedShard]]) -> None:
        attempt, stage = self._attempt, self._stage
        reading = _stored_reading(attempt, stage, self._digest)
        arguments = stage.spec["arguments"] | {"shard_size": self._shard_size}  # another worker's device has another default
        planned = [
            (
                stage.spec | {"reading": reading, "shards": [shard.name for shard in shards], "arguments": arguments},
                min(sum(shard.units for shard in shards), UNITS_MAX),
            )
            for shards in ranges
        ]

        def insert(session: Session) -> None:
            event = {"stage": stage.name, **part_field(stage.part), "state": "divided", "tasks": len(planned)}
            event |= stage.workspace.event_fields
            transitions.add_event(session, attempt.job_id, attempt.token, "stage", event)
            tasks.plan(session, attempt.job_id, stage.name, self._digest, planned, stage.wants)

        attempt.write(insert)
        self._read_counts()
        wake_workers(attempt.job_id, len(planned) - 1, attempt.runtime.settings.redis_url)
        log.info("stage_divided", stage=stage.name, tasks=len(planned))

    def _claim(self) -> ClaimedTask | None:
        attempt = self._attempt

        def claim(session: Session) -> ClaimedTask | None:
            return tasks.claim_own(
                session, attempt.job_id, self._digest, attempt.runtime.name, attempt.token, attempt.runtime.settings.lease_seconds
            )

        return attempt.write(claim)

    def _run_task(self, task: ClaimedTask) -> None:
        began, attempt, stage = time.monotonic(), self._attempt, self._stage
        try:
            stored = attempt.write(lambda session: attempt.artifacts.find_shards(session, stage.key))
            missing = [name for name in task.spec["shards"] if name not in stored]  # a lost worker has stored the others
            if missing:
                self._child("compute_shards", shards=missing, on_progress=lambda done, _: self._progress(done))
            attempt.write(lambda session: finish_task(session, task, stage.workspace, attempt.runtime.name, time.monotonic() - began))
        except BaseException:
            with suppress(SQLAlchemyError, LeaseLost), attempt.runtime.sessions.begin() as session:
                tasks.release(session, task)  # the next attempt, or another worker, starts it at once
            raise
        TASKS_ENDED.labels(task.stage, "done").inc()
        TASK_SECONDS.labels(task.stage).observe(time.monotonic() - began)

    def _child(self, stage: str, *, shards: Sequence[str] = (), on_progress: Callable[[int, int], None] = no_progress) -> Json:
        divided = self._stage
        return self._attempt.compute(
            stage,
            divided.arguments | {"of": divided.name, "shards": list(shards)},
            network=divided.network,
            workspace=divided.workspace,
            on_progress=on_progress,
            on_output=divided.store,
        )

    def _read_counts(self) -> None:
        attempt = self._attempt
        self._counts = attempt.write(lambda session: task_progress.counts(session, attempt.job_id, self._digest, attempt.token))

    def _progress(self, own_done: int) -> None:
        """Report what all workers have done; `own_done` units of it belong to the task that runs here."""
        self._own_done = own_done
        if not self._total:
            return
        if not own_done:
            self._read_counts()
        done = self._finished_before + self._counts.units_done + own_done
        self._throttle(min(done, self._total), self._total)

    def _report(self, done: int, total: int, eta_seconds: float | None) -> None:
        self._read_counts()
        counts, stage = self._counts, self._stage
        of_tasks = {"done": counts.done, "total": counts.total, "workers": counts.workers} if counts.total else None
        self._attempt.report(stage.name, done, total, eta_seconds, part=stage.part, workspace=stage.workspace, tasks=of_tasks)


def read_plan(found: Json) -> tuple[list[PlannedShard], int, int]:
    """The answer of the stage `plan_shards`, which is not trusted: shards to compute, units of the others, and images per shard.

    Raises
    ------
    ChildLost
        When it is not such an answer.
    """
    try:
        shards, done, size = [PlannedShard(name, units) for name, units in found["shards"]], found["done"], found["size"]
        named = len(shards) <= SHARDS_MAX and all(SHARD_NAME.fullmatch(one.name) for one in shards)
        counts = (done, size, *(one.units for one in shards))
        valid = named and all(isinstance(count, int) and 0 <= count <= UNITS_MAX for count in counts) and size > 0
    except (KeyError, TypeError, ValueError):
        valid, shards, done, size = False, [], 0, 0
    if not valid:
        raise ChildLost("The compute process sent an invalid plan.")
    return shards, done, size


def group_shards(units: Sequence[int], measured_units: int, measured_seconds: float, task_seconds: float) -> list[tuple[int, int]]:
    """Group consecutive shards into tasks -> [(start, end), …], which become shorter towards the end of the stage.

    A task takes an eighth of the time that is left, at most `task_seconds` and at least a fifth of it, so that up to four workers end
    nearly together (guided self-scheduling, Polychronopoulos and Kuck 1987).

    Parameters
    ----------
    units : images or elements of each shard
    measured_units, measured_seconds : of a shard that was computed before
    """
    longest = task_seconds * measured_units / max(measured_seconds, 1e-6)
    shortest = longest * SHORTEST_TASK
    groups, start, size, left = list[tuple[int, int]](), 0, 0, sum(units)
    for index, count in enumerate(units, start=1):
        size += count
        if size >= max(shortest, min(longest, left * SHARE_OF_REST)):
            groups.append((start, index))
            start, size, left = index, 0, left - size
    if start < len(units):  # the rest is too short for a task of its own
        groups = [*groups[:-1], (groups[-1][0], len(units))] if groups else [(start, len(units))]
    return groups


def finish_task(session: Session, task: ClaimedTask, workspace: StageWorkspace, worker: str, seconds: float) -> None:
    """End a task and add its event, which names the worker."""
    tasks.finish(session, task)
    event = {"stage": task.stage, **part_field(task.spec.get("part")), "state": "task", "number": task.number, "worker": worker}
    tasks.add_event(session, task, "stage", event | {"seconds": round(seconds, 3)} | workspace.event_fields)


def _stored_reading(attempt: Attempt, stage: DivisibleStage, digest: str) -> str | None:
    """Store the list of images of a folder on the server, so that other workers need not read them all; returns its key."""
    reading, dataset = stage.workspace.folder / READING, stage.workspace.dataset
    if dataset is None or dataset.server_path is None or not reading.exists():
        return None
    key = output_key(digest, READING)
    stored = attempt.artifacts.upload(key, stage.name, reading, attempt.stop.check)
    attempt.write(lambda session: attempt.artifacts.record(session, stored))
    return key
