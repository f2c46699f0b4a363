"""Compute tasks of jobs that other workers run. `worker.jobs.sharing.division` makes the tasks."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.db import tasks
from app.db.job_rows import LeaseLost
from app.db.models import Json
from app.db.scheduling import next_queued_job
from app.db.session import is_outage
from app.db.tasks import ClaimedTask
from app.storage import ArtifactMissing, StorageUnavailable
from app.traces import span
from worker.jobs.artifacts import shard_key
from worker.jobs.attempt import Attempt
from worker.jobs.explain import explain_sources
from worker.jobs.finetune import training_pipeline
from worker.jobs.inputs import Sources
from worker.jobs.lease import LeaseKeeper, TaskLease
from worker.jobs.pipeline import Pipeline
from worker.jobs.progress.throttle import ProgressThrottle
from worker.jobs.sharing.division import finish_task
from worker.jobs.sharing.file_tasks import compute_file_task, fetch_inputs
from worker.jobs.stage_workspace import StageWorkspace, part_field
from worker.metrics import TASK_SECONDS, TASKS_ENDED
from worker.runtime import Runtime
from worker.sandbox.outcomes import ChildLost, DeadlinePassed, Interrupted, StageRefused
from worker.sandbox.resource_limits import LimitExceeded
from worker.stages.files import READING

log = structlog.get_logger(__name__)


def help_running_job(runtime: Runtime) -> bool:
    """Compute tasks of one running job until none is left or another job's turn comes; False where no job has a task."""
    try:
        with runtime.sessions.begin() as session:
            lease_seconds, without = runtime.settings.lease_seconds, runtime.not_helped()
            task = tasks.claim(session, runtime.name, lease_seconds, kind=runtime.kind, without=without)
    except SQLAlchemyError as error:
        if not is_outage(error):
            raise
        log.warning("database_unavailable", error=str(error))
        return False
    if task is None:
        return False
    with structlog.contextvars.bound_contextvars(job_id=task.job_id), runtime.running_job() as stop:
        try:
            with Attempt(runtime, task.job_id, task.token, stop) as attempt:
                attempt.make_folder()
                _Helper(attempt).run(task)
        except (LeaseLost, Interrupted) as error:  # the job has ended, or the sweeper gives the task to another worker
            runtime.child.kill()
            log.info("task_stopped", reason=str(error))
        except Exception as error:
            runtime.child.kill()
            if isinstance(error, SQLAlchemyError) and is_outage(error):
                log.warning("database_unavailable", error=str(error))
                return True
            log.warning("task_lost", stage=stage_of(task), number=task.number, error=str(error), exc_info=True)
            runtime.leave_to_others(task.job_id)
            with suppress(LeaseLost, SQLAlchemyError), runtime.sessions.begin() as session:
                tasks.give_up_attempt(session, task, runtime.settings.max_attempts)
    return True


def stage_of(task: ClaimedTask) -> str:
    """Name of the stage that a task computes, or computes a part of; tasks of several stages may be of one group."""
    return str(task.spec.get("of", task.spec.get("stage", task.stage)))


class _Helper:
    """Tasks of one job on this worker, which share a workspace and a child process."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._runtime = attempt.runtime
        self._sources: dict[bool, Sources] = {}
        self._prepared: set[str] = set()
        self._training: Pipeline | None = None

    def run(self, task: ClaimedTask | None) -> None:
        """Compute a claimed task, and more tasks of its job while it is this job's turn."""
        while task is not None:
            about = {"iis.job.id": task.job_id, "iis.worker": self._runtime.name}
            keeper = LeaseKeeper(self._runtime.sessions, self._runtime.settings, TaskLease(task), self._attempt.stop)
            with keeper, span(f"task {stage_of(task)}", about, parent=task.traceparent):
                done = self._run_task(task)
            task = self._attempt.write(self._next) if done else None

    def _next(self, session: Session) -> ClaimedTask | None:
        runtime, job_id = self._runtime, self._attempt.job_id
        if next_queued_job(session, runtime.kind) is not None:
            return None
        lease_seconds, without = runtime.settings.lease_seconds, runtime.not_helped()
        return tasks.claim_of(session, job_id, runtime.name, lease_seconds, kind=runtime.kind, without=without)

    def _run_task(self, task: ClaimedTask) -> bool:
        """Compute one task; False where this worker should not take another one of the job."""
        began, end, stage = time.monotonic(), "lost", stage_of(task)
        log.info("task_started", stage=stage, number=task.number, attempt=task.attempt)
        try:
            if "run" in task.spec:
                self._compute_run(task)
            elif "outputs" in task.spec:
                compute_file_task(self._attempt, task, self._workspace(task))
            elif self._prepare(task):
                self._compute_shards(task)
                workspace, name = self._workspace(task), self._runtime.name
                self._attempt.write(lambda session: finish_task(session, task, workspace, name, time.monotonic() - began))
            else:
                end = "released"
                return False
            end = "done"
        except StageRefused as error:
            log.info("task_refused", code=error.error["code"])
            self._attempt.write(lambda session: tasks.leave(session, task))
            end = "left"
        except Interrupted:
            end = str(self._attempt.stop.reason)
            if end == "shutdown":
                with suppress(LeaseLost, SQLAlchemyError), self._runtime.sessions.begin() as session:
                    tasks.release(session, task)
            raise
        except LeaseLost:
            raise
        except Exception as error:
            if isinstance(error, SQLAlchemyError) and is_outage(error):
                raise
            expected = isinstance(error, ChildLost | LimitExceeded | DeadlinePassed | StorageUnavailable | OSError)
            log.warning("task_lost", stage=stage, number=task.number, error=str(error), exc_info=not expected)
            self._runtime.child.kill()
            self._runtime.leave_to_others(task.job_id)
            end = self._attempt.write(lambda session: tasks.give_up_attempt(session, task, self._runtime.settings.max_attempts))
            return False
        finally:
            TASKS_ENDED.labels(stage, end).inc()
            log.info("task_ended", stage=stage, number=task.number, end=end)
        TASK_SECONDS.labels(stage).observe(time.monotonic() - began)
        return True

    def _compute_run(self, task: ClaimedTask) -> None:
        """Compute a training run and its score, whose stages are stored one by one."""
        began, attempt, workspace = time.monotonic(), self._attempt, self._workspace(task)
        attempt.task = task
        try:
            self._training = self._training or training_pipeline(attempt)
            self._training.compute_part(task.spec["run"])
        finally:
            attempt.task = None
        attempt.write(lambda session: finish_task(session, task, workspace, self._runtime.name, time.monotonic() - began))

    def _prepare(self, task: ClaimedTask) -> bool:
        """Fetch the task's sources and run the stages that make its inputs; False where this worker cannot, such as without the folder."""
        try:
            for before in task.spec["prepare"]:
                key = f"{before['stage']} {task.spec['of_library']}"
                if key not in self._prepared:
                    self._fetch_reading(task)
                    sources = self._fetch(task, before["sources"])
                    self._attempt.compute(before["stage"], {"sources": sources}, network=before["network"], workspace=self._workspace(task))
                    self._prepared.add(key)
            self._fetch(task, task.spec["sources"])
            fetch_inputs(self._attempt, task.spec.get("inputs", {}), self._workspace(task))
        except StageRefused as error:
            log.warning("job_not_helped", code=error.error["code"], error=error.error["message"])
            self._attempt.write(lambda session: tasks.release(session, task))
            self._runtime.leave_to_others(task.job_id)
            return False
        return True

    def _compute_shards(self, task: ClaimedTask) -> None:
        spec, workspace = task.spec, self._workspace(task)
        stored = self._attempt.write(lambda session: self._attempt.artifacts.find_shards(session, spec["key"]))
        arguments = spec["arguments"] | {
            "sources": self._fetch(task, spec["sources"]),
            "shard_folder": spec["shard_folder"],
            "of": task.stage,
            "shards": [name for name in spec["shards"] if name not in stored],  # a lost attempt has stored the others
        }
        self._attempt.compute(
            "compute_shards",
            arguments,
            network=spec["network"],
            workspace=workspace,
            on_progress=ProgressThrottle(lambda done, _total, _eta: self._attempt.write(lambda session: tasks.report(session, task, done))),
            on_output=lambda name, _: self._store(task, workspace.folder / spec["shard_folder"] / Path(name).name),
        )

    def _store(self, task: ClaimedTask, path: Path) -> None:
        """Store a shard and add its event, in one transaction under the task's lease."""
        key, artifacts = task.spec["key"], self._attempt.artifacts
        stored = artifacts.upload(shard_key(key, path.name), f"{key}/{path.name}", path, self._attempt.stop.check)
        event = {"stage": task.stage, **part_field(task.spec.get("part")), "state": "shard", "name": path.name}
        event |= {"worker": self._runtime.name} | self._workspace(task).event_fields

        def record(session: Session) -> None:
            artifacts.record(session, stored)  # before the job's row is locked, because it asks storage
            tasks.fence(session, task)
            tasks.add_event(session, task, "stage", event)

        self._attempt.write(record)
        path.unlink(missing_ok=True)

    def _workspace(self, task: ClaimedTask) -> StageWorkspace:
        return self._attempt.library_workspace() if task.spec["of_library"] else self._attempt.workspace

    def _fetch(self, task: ClaimedTask, names: list[str]) -> Json:
        of_library = bool(task.spec["of_library"])
        if of_library not in self._sources:
            further = explain_sources(self._attempt) if self._attempt.rows.job.kind == "explain" else {}
            self._sources[of_library] = Sources(self._attempt, further, self._workspace(task))
        return self._sources[of_library].fetch(tuple(names))

    def _fetch_reading(self, task: ClaimedTask) -> None:
        """Fetch the list of images of a folder on the server, which the job's own worker has read."""
        if (key := task.spec["reading"]) is None:
            return
        found = self._attempt.write(lambda session: self._attempt.artifacts.find(session, [key]))
        if key in found:
            with suppress(ArtifactMissing):
                self._attempt.artifacts.fetch(found[key], self._workspace(task).folder / READING, self._attempt.stop.check)
