"""Progress of the tasks of one plan. `app.db.tasks` changes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from app.db.models import JobTask, Json

ENDED = ("done", "left")
"""States of a task that no worker computes any more."""


@dataclass(frozen=True)
class TaskCounts:
    """Tasks of one plan, and work in images and elements."""

    total: int
    done: int
    queued: int
    running: int
    units: int
    units_done: int  # without the tasks of `mine`
    workers: int  # that compute now


@dataclass(frozen=True)
class TaskState:
    """A task of a plan, and the worker and seconds of its latest attempt."""

    spec: Json
    state: str
    worker: str | None
    seconds: float | None  # until it ended


def counts(session: Session, job_id: str, digest: str, mine: str | None = None) -> TaskCounts:
    """Count the tasks of a plan.

    Parameters
    ----------
    mine : lease token of the worker that asks, and that knows how far its own task is
    """
    running = JobTask.state == "running"
    progress = case(((JobTask.lease_token.is_not_distinct_from(mine)) & running, 0), else_=JobTask.units_done)
    row = session.execute(
        select(
            func.count(),
            func.count().filter(JobTask.state.in_(ENDED)),
            func.count().filter(JobTask.state == "queued"),
            func.count().filter(running),
            func.coalesce(func.sum(JobTask.units), 0),
            func.coalesce(func.sum(progress), 0),
            func.count(JobTask.worker.distinct()).filter(running),
        ).where(JobTask.job_id == job_id, JobTask.plan == digest)
    ).one()
    return TaskCounts(*(int(value) for value in row))


def task_states(session: Session, job_id: str, digest: str) -> list[TaskState]:
    """The tasks of a plan, in order."""
    seconds = cast("ColumnElement[float | None]", func.extract("epoch", JobTask.finished_at - JobTask.claimed_at))  # null until it ends
    of_plan = (JobTask.job_id == job_id, JobTask.plan == digest)
    rows = session.execute(select(JobTask.spec, JobTask.state, JobTask.worker, seconds).where(*of_plan).order_by(JobTask.number))
    return [TaskState(spec, state, worker, None if took is None else float(took)) for spec, state, worker, took in rows]


def workers_of(session: Session, job_id: str, digest: str) -> list[str]:
    """Names of the workers that have finished tasks of a plan."""
    done = (JobTask.job_id == job_id, JobTask.plan == digest, JobTask.state == "done", JobTask.worker.is_not(None))
    return [worker for worker in session.scalars(select(JobTask.worker).where(*done).distinct()) if worker is not None]
