"""Share stages of a running job: this worker computes some, idle workers the others, one stage or one training run a task.

The outputs are artifacts under the stages' keys, on any worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.db import tasks, transitions
from app.db.job_rows import LeaseLost
from app.db.models import JobEvent, Json
from app.db.task_progress import ENDED, TaskState, task_states
from app.db.tasks import ClaimedTask
from app.queue import wake_workers
from worker.jobs.artifacts import artifact_key
from worker.jobs.attempt import Attempt
from worker.jobs.progress.stage_list import StageId
from worker.jobs.stage import Stage
from worker.jobs.stage_workspace import StageWorkspace
from worker.metrics import TASK_SECONDS, TASKS_ENDED

WAIT_SECONDS = 0.5  # between looks at tasks of other workers


class SharedStages:
    """Tasks of one or more whole stages each.

    Parameters
    ----------
    group : in the column `stage` of the tasks
    tasks : stages of each task by its name, which its spec has as `task`
    specs : what another worker needs to compute each task, with its first stage as `stage`
    compute : compute and store the stages of a task here, by its name
    workspace : of the stages
    """

    def __init__(
        self,
        attempt: Attempt,
        group: str,
        tasks: Mapping[str, Sequence[Stage]],
        specs: Sequence[Json],
        compute: Callable[[str], None],
        workspace: StageWorkspace,
    ) -> None:
        self._attempt = attempt
        self._group = group
        self._tasks = tasks
        self._specs = specs
        self._compute = compute
        self._workspace = workspace
        self._digest = artifact_key(stages=[[stage.key for stage in stages] for stages in tasks.values()])
        self._listed: set[str] = set()  # tasks that other workers have ended, and that are in the job's list of stages

    def run(self) -> None:
        """Compute the tasks together with idle workers; returns when the outputs of each are stored, or left to the caller."""
        attempt = self._attempt
        attempt.write(self._plan)
        wake_workers(attempt.job_id, len(self._specs) - 1, attempt.runtime.settings.redis_url)
        while True:
            task = attempt.write(self._claim)
            if task is not None:
                self._run_here(task)
                continue
            found = attempt.write(lambda session: task_states(session, attempt.job_id, self._digest))
            self._list(found)
            if all(one.state in ENDED for one in found):
                return
            attempt.check_deadline()
            attempt.stop.event.wait(WAIT_SECONDS)

    def _plan(self, session: Session) -> None:
        attempt = self._attempt
        event = {"stage": self._specs[0]["stage"], "state": "divided", "tasks": len(self._specs)}
        transitions.add_event(session, attempt.job_id, attempt.token, "stage", event)
        tasks.plan(session, attempt.job_id, self._group, self._digest, [(spec, 1) for spec in self._specs], attempt.runtime.kind)

    def _claim(self, session: Session) -> ClaimedTask | None:
        attempt, runtime = self._attempt, self._attempt.runtime
        return tasks.claim_own(session, attempt.job_id, self._digest, runtime.name, attempt.token, runtime.settings.lease_seconds)

    def _run_here(self, task: ClaimedTask) -> None:
        began, attempt, stage = time.monotonic(), self._attempt, str(task.spec["stage"])
        try:
            self._compute(str(task.spec["task"]))
            attempt.write(lambda session: tasks.finish(session, task))
        except BaseException:
            with suppress(SQLAlchemyError, LeaseLost), attempt.runtime.sessions.begin() as session:
                tasks.release(session, task)
            raise
        TASKS_ENDED.labels(stage, "done").inc()
        TASK_SECONDS.labels(stage).observe(time.monotonic() - began)

    def _list(self, found: Sequence[TaskState]) -> None:
        """Bring what other workers compute into the job's list of stages."""
        attempt = self._attempt
        others = [(str(one.spec["task"]), one) for one in found if one.worker is not None and one.worker != attempt.runtime.name]
        for name, one in others:
            if one.state == "running" and one.worker is not None:
                attempt.stages.start(self._id(self._tasks[name][0]), one.worker)
        ended = {name for name, one in others if one.state == "done"} - self._listed
        if ended:
            finished = attempt.write(lambda session: _finished(session, attempt.job_id))
            for which in (self._id(stage) for name in ended for stage in self._tasks[name]):
                if which in finished:
                    attempt.stages.finish(which, *finished[which])
            self._listed |= ended
        if attempt.stages.changed:
            attempt.store_stages()

    def _id(self, stage: Stage) -> StageId:
        return self._workspace.stage_id(stage.name, stage.part)


def _finished(session: Session, job_id: str) -> dict[StageId, tuple[float, list[str]]]:
    """Seconds and worker of the stages that have finished, by their events."""
    of_stages = (JobEvent.job_id == job_id, JobEvent.type == "stage", JobEvent.data["state"].astext == "finished")
    found = session.scalars(select(JobEvent.data).where(*of_stages).order_by(JobEvent.id))
    named = [event for event in found if "worker" in event]
    return {(event["stage"], event.get("part"), event.get("dataset")): (event["seconds"], [event["worker"]]) for event in named}
