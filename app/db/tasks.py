"""State machine of the tasks of running jobs; no other module changes a task. The caller commits.

queued -> running -> done
   |         |  \\-> left (refused, or no attempt is left): the job's own worker computes it when it joins the parts
   |         \\-> queued again (lease expired, worker lost or shut down)
   \\-> deleted when the job ends, like all others

The lease token fences a worker's writes as that of a job does. A transaction that changes both locks the job's row first.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from app.db.job_events import insert_event
from app.db.job_rows import LeaseLost
from app.db.models import Job, JobTask, Json
from app.db.scheduling import WorkerKind, takes

ALIVE = ("running", "queued")
"""States of a job whose tasks may be written: a job that lost its worker waits for another one."""


@dataclass(frozen=True)
class ClaimedTask:
    """A task that this worker computes."""

    id: int
    job_id: str
    stage: str
    number: int
    attempt: int
    spec: Json
    units: int
    token: str
    traceparent: str | None = None


def plan(
    session: Session, job_id: str, stage: str, digest: str, tasks: Sequence[tuple[Json, int]], wants: WorkerKind | None = None
) -> None:
    """Insert the tasks of a stage, (spec, units) each; tasks of another plan for it are deleted. Call it under the job's lease.

    Parameters
    ----------
    wants : kind of worker that computes them while one is alive; None for any
    """
    session.execute(delete(JobTask).where(JobTask.job_id == job_id, JobTask.stage == stage, JobTask.plan != digest))
    rows = [
        {"job_id": job_id, "stage": stage, "plan": digest, "number": number, "spec": spec, "units": units, "wants": wants}
        for number, (spec, units) in enumerate(tasks)
    ]
    if rows:
        session.execute(insert(JobTask).on_conflict_do_nothing(), rows)


def plan_with(session: Session, job_id: str, stage: str, outputs: Sequence[Json]) -> str | None:
    """The plan for a stage whose tasks make all these outputs, where an earlier attempt has made one."""
    plans: dict[str, list[Json]] = {}
    for digest, spec in session.execute(select(JobTask.plan, JobTask.spec).where(JobTask.job_id == job_id, JobTask.stage == stage)):
        plans.setdefault(digest, []).append(spec.get("outputs", {}))
    return next((digest for digest, planned in plans.items() if all(one in planned for one in outputs)), None)


def claim_own(session: Session, job_id: str, digest: str, worker: str, token: str, lease_seconds: float) -> ClaimedTask | None:
    """Claim the next task of a plan for the job's own worker, under the job's lease token; None where none is queued."""
    return _claim(session, _first(JobTask.job_id == job_id, JobTask.plan == digest), worker, token, lease_seconds)


def claim(
    session: Session, worker: str, lease_seconds: float, *, kind: WorkerKind = "cpu", without: Collection[str] = ()
) -> ClaimedTask | None:
    """Claim a task of any running job; None where none is queued.

    Owners take turns: the job is one of the owner for whom the fewest tasks run, and the oldest of these.

    Parameters
    ----------
    kind : of the worker
    without : jobs to leave to other workers
    """
    job_id = next_job(session, kind=kind, without=without)
    if job_id is None:
        return None
    return _claim(session, _first(JobTask.job_id == job_id, takes(JobTask.wants, kind)), worker, secrets.token_hex(16), lease_seconds)


def claim_of(
    session: Session, job_id: str, worker: str, lease_seconds: float, *, kind: WorkerKind = "cpu", without: Collection[str] = ()
) -> ClaimedTask | None:
    """Claim a task of this job if `claim` would choose it."""
    if next_job(session, kind=kind, without=without) != job_id:
        return None
    return _claim(session, _first(JobTask.job_id == job_id, takes(JobTask.wants, kind)), worker, secrets.token_hex(16), lease_seconds)


def next_job(session: Session, *, kind: WorkerKind = "cpu", without: Collection[str] = ()) -> str | None:
    """Id of the running job whose task another worker of this kind takes next."""
    task, other, busy = aliased(JobTask), aliased(Job), aliased(JobTask)
    waiting = select(task.id).where(task.state == "queued", task.job_id == Job.id, takes(task.wants, kind))
    of_owner = (
        select(func.count())
        .select_from(busy)
        .join(other, other.id == busy.job_id)
        .where(busy.state == "running", other.owner_id == Job.owner_id)
    )
    statement = (
        select(Job.id)
        .where(Job.state == "running", Job.id.not_in(list(without)), waiting.exists())
        .order_by(of_owner.scalar_subquery(), Job.claimed_at, Job.id)
        .limit(1)
    )
    return session.scalar(statement)


def renew(session: Session, token: str, lease_seconds: float) -> None:
    """Extend the lease of the running task with this token, if there is one."""
    statement = update(JobTask).where(JobTask.lease_token == token, JobTask.state == "running")
    session.execute(statement.values(lease_expires_at=_from_now(lease_seconds)).execution_options(synchronize_session=False))


def state_under_lease(session: Session, task_id: int, token: str) -> str | None:
    """`running` (also right after the end), `canceling` where the job has to stop, or None if the lease is lost; writes nothing."""
    state = session.scalar(
        select(Job.state).join(JobTask, JobTask.job_id == Job.id).where(JobTask.id == task_id, JobTask.lease_token == token)
    )
    return "running" if state in ALIVE else state


def report(session: Session, task: ClaimedTask, units_done: int) -> None:
    """Store how far a running task is.

    Raises
    ------
    LeaseLost
    """
    _fenced(session, task, units_done=min(units_done, task.units))


def fence(session: Session, task: ClaimedTask) -> None:
    """Lock the job and the task, so that this transaction may store a part of the task's result and add events.

    Raises
    ------
    LeaseLost
    """
    _lock_job(session, task)
    _fenced(session, task, worker=JobTask.worker)


def add_event(session: Session, task: ClaimedTask, kind: str, data: Json) -> None:
    """Insert an event of the job. Call `fence` or `finish` before, in the same transaction."""
    insert_event(session, task.job_id, kind, data)


def finish(session: Session, task: ClaimedTask) -> None:
    """End a task as `done`; its results must be stored.

    Raises
    ------
    LeaseLost
    """
    _lock_job(session, task)
    _fenced(session, task, state="done", units_done=JobTask.units, **_ended())


def leave(session: Session, task: ClaimedTask) -> None:
    """End a task as `left`: the job's own worker computes it when it joins the parts, and meets the same error.

    Raises
    ------
    LeaseLost
    """
    _fenced(session, task, state="left", units_done=0, **_ended())


def leave_queued(session: Session, job_id: str, digest: str) -> None:
    """End the queued tasks of a plan as `left`, so that no worker computes them."""
    queued = (JobTask.job_id == job_id, JobTask.plan == digest, JobTask.state == "queued")
    statement = update(JobTask).where(*queued).values(state="left", finished_at=func.clock_timestamp())
    session.execute(statement.execution_options(synchronize_session=False))


def release(session: Session, task: ClaimedTask) -> None:
    """Return a task to the queue; the attempt does not count.

    Raises
    ------
    LeaseLost
    """
    _fenced(session, task, state="queued", attempt=JobTask.attempt - 1, units_done=0, **_unleased())


def give_up_attempt(session: Session, task: ClaimedTask, max_attempts: int) -> str:
    """Return a task to the queue after a lost attempt, or leave it if no attempt is left; returns the new state.

    Raises
    ------
    LeaseLost
    """
    if task.attempt >= max_attempts:
        leave(session, task)
        return "left"
    _fenced(session, task, state="queued", units_done=0, **_unleased())
    return "queued"


def release_expired(session: Session, max_attempts: int) -> list[str]:
    """End expired leases as `give_up_attempt` does; returns the ids of the jobs with tasks queued again."""
    expired = session.execute(
        select(JobTask.id, JobTask.job_id, JobTask.attempt)
        .where(JobTask.state == "running", JobTask.lease_expires_at < func.now())
        .order_by(JobTask.id)
        .with_for_update(skip_locked=True)
    ).all()
    spent = [row.id for row in expired if row.attempt >= max_attempts]
    queued = [row.id for row in expired if row.attempt < max_attempts]
    for ids, values in ((spent, {"state": "left", "finished_at": func.clock_timestamp()}), (queued, {"state": "queued"})):
        if ids:
            statement = update(JobTask).where(JobTask.id.in_(ids)).values(units_done=0, **values, **_unleased())
            session.execute(statement.execution_options(synchronize_session=False))
    return sorted({row.job_id for row in expired if row.attempt < max_attempts})


def queued_of_running_jobs(session: Session, limit: int) -> list[str]:
    """The job of each queued task of a running job, up to `limit`."""
    statement = select(JobTask.job_id).join(Job, Job.id == JobTask.job_id).where(JobTask.state == "queued", Job.state == "running")
    return list(session.scalars(statement.limit(limit)))


def _first(*which: Any) -> Any:
    """SELECT of the first queued task that matches and that no other worker is claiming."""
    return select(JobTask.id).where(JobTask.state == "queued", *which).order_by(JobTask.number).limit(1).with_for_update(skip_locked=True)


def _claim(session: Session, first: Any, worker: str, token: str, lease_seconds: float) -> ClaimedTask | None:
    row = session.execute(
        update(JobTask)
        .where(JobTask.id == first.scalar_subquery())
        .values(
            state="running",
            attempt=JobTask.attempt + 1,
            lease_token=token,
            lease_expires_at=_from_now(lease_seconds),
            worker=worker,
            claimed_at=func.clock_timestamp(),
        )
        .returning(
            *(JobTask.id, JobTask.job_id, JobTask.stage, JobTask.number, JobTask.attempt, JobTask.spec, JobTask.units, JobTask.traceparent)
        )
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if row is None:
        return None
    return ClaimedTask(row.id, row.job_id, row.stage, row.number, row.attempt, row.spec, row.units, token, row.traceparent)


def _lock_job(session: Session, task: ClaimedTask) -> None:
    alive = select(Job.id).where(Job.id == task.job_id, Job.state.in_(ALIVE)).with_for_update()
    if session.scalar(alive) is None:
        raise LeaseLost(task.job_id)


def _fenced(session: Session, task: ClaimedTask, **values: Any) -> None:
    mine = (JobTask.id == task.id, JobTask.lease_token == task.token, JobTask.state == "running")
    statement = update(JobTask).where(*mine).values(**values).returning(JobTask.id)
    if session.scalar(statement.execution_options(synchronize_session=False)) is None:
        raise LeaseLost(task.job_id)


def _unleased() -> dict[str, Any]:
    return {"lease_token": None, "lease_expires_at": None}


def _ended() -> dict[str, Any]:
    """The token stays, so that the thread that renews the lease does not take the end for a loss."""
    return {"lease_expires_at": None, "finished_at": func.clock_timestamp()}


def _from_now(seconds: float) -> Any:
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
