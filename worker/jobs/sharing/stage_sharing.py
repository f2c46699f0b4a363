"""Share independent stages of a running job: this worker computes some, idle workers the others, each stage a task.

The outputs are artifacts under the stage's key, on any worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.db import tasks, transitions
from app.db.models import Json
from app.db.task_progress import ENDED, TaskState, task_states
from app.db.tasks import ClaimedTask
from app.db.transitions import LeaseLost
from app.queue import wake_workers
from worker.jobs.artifacts import artifact_key
from worker.jobs.attempt import Attempt, StageWorkspace
from worker.metrics import TASK_SECONDS, TASKS_ENDED

GROUP = "measurements"  # in the column `stage` of the tasks, each of which is a whole stage
WAIT_SECONDS = 0.5  # between looks at tasks of other workers


def share_stages(attempt: Attempt, specs: Sequence[Json], compute: Callable[[str], None], workspace: StageWorkspace) -> None:
    """Compute stages together with idle workers; returns when each is stored, or left to the caller.

    Parameters
    ----------
    specs : what another worker needs to compute each stage, with its name as `stage`
    compute : compute and store a stage here, by name
    workspace : of the stages
    """
    digest = artifact_key(stages=[spec["key"] for spec in specs])

    def plan(session: Session) -> None:
        event = {"stage": specs[0]["stage"], "state": "divided", "tasks": len(specs)}
        transitions.add_event(session, attempt.job_id, attempt.token, "stage", event)
        tasks.plan(session, attempt.job_id, GROUP, digest, [(spec, 1) for spec in specs])

    attempt.write(plan)
    wake_workers(attempt.job_id, len(specs) - 1, attempt.runtime.settings.redis_url)
    while True:
        task = attempt.write(lambda session: _claim(session, attempt, digest))
        if task is not None:
            _run_here(attempt, task, compute)
            continue
        found = attempt.write(lambda session: task_states(session, attempt.job_id, digest))
        _list_computed(attempt, found, workspace)
        if all(one.state in ENDED for one in found):
            return
        attempt.check_deadline()
        attempt.stop.event.wait(WAIT_SECONDS)


def _claim(session: Session, attempt: Attempt, digest: str) -> ClaimedTask | None:
    runtime = attempt.runtime
    return tasks.claim_own(session, attempt.job_id, digest, runtime.name, attempt.token, runtime.settings.lease_seconds)


def _list_computed(attempt: Attempt, found: Sequence[TaskState], workspace: StageWorkspace) -> None:
    """Bring the stages that other workers compute into the job's list of stages."""
    for one in found:
        if one.worker is None or one.worker == attempt.runtime.name:
            continue
        which = workspace.stage_id(str(one.spec["stage"]))
        if one.state == "running":
            attempt.stages.start(which, one.worker)
        elif one.state == "done" and one.seconds is not None:
            attempt.stages.finish(which, one.seconds, [one.worker])
    if attempt.stages.changed:
        attempt.store_stages()


def _run_here(attempt: Attempt, task: ClaimedTask, compute: Callable[[str], None]) -> None:
    began, stage = time.monotonic(), str(task.spec["stage"])
    try:
        compute(stage)
        attempt.write(lambda session: tasks.finish(session, task))
    except BaseException:
        with suppress(SQLAlchemyError, LeaseLost), attempt.runtime.sessions.begin() as session:
            tasks.release(session, task)
        raise
    TASKS_ENDED.labels(stage, "done").inc()
    TASK_SECONDS.labels(stage).observe(time.monotonic() - began)
