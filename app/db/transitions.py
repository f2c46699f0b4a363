"""State machine of jobs; no other module changes a job's state. The caller commits.

queued -> running -> succeeded | failed
   |         |  \\-> queued again (lease expired or compute process lost, and attempts are left)
   |         \\-> canceling -> canceled
   \\-> canceled

The lease token fences a worker's writes: if the row has another token, `LeaseLost` is raised and nothing is written.
Every change locks the job's row before it inserts the event, so that event ids increase in commit order within a job.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from app.db.job_events import insert_event, notify_all, record_state, record_states
from app.db.job_rows import LeaseLost, ended, from_now, unleased, update_job, update_jobs, update_leased
from app.db.models import Job, Json
from app.db.validation import refuse_checked_row

WORKER_LOST: Json = {
    "code": "worker_lost",
    "message": "The worker was lost on every attempt at this job. Submit it again; if it fails again, use a smaller model or data set.",
    "param": None,
}
CANCELED: Json = {"code": "canceled", "message": "The job was canceled before it finished.", "param": None}


def enqueue(session: Session, job: Job) -> None:
    """Insert an accepted job as `queued`. Call `app.queue.wake_worker(job.id)` after the commit."""
    job.state = "queued"
    session.add(job)
    session.flush()
    record_state(session, job.id, "queued", attempt=0)


def enqueue_all(session: Session, jobs: Sequence[Json]) -> None:
    """Insert many accepted jobs as `queued`, each with its event, in a few statements.

    Sends no notifications, because uncommitted jobs have no listeners. Workers run until the queue is empty, so the caller wakes a few
    workers after the commit, not one per job.

    Parameters
    ----------
    jobs : columns of `Job` without the state, the same columns in each
    """
    if not jobs:
        return
    session.execute(insert(Job).returning(Job.id), [{**job, "state": "queued", "attempt": 0} for job in jobs])
    record_states(session, {job["id"]: {"state": "queued", "attempt": 0} for job in jobs})


def claim(session: Session, job_id: str, worker: str, lease_seconds: float) -> str | None:
    """Claim a queued job for `worker`; returns the new lease token, or None if the job is not queued."""
    token = secrets.token_hex(16)
    attempt = session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.state == "queued")
        .values(
            state="running",
            attempt=Job.attempt + 1,
            lease_token=token,
            lease_expires_at=from_now(lease_seconds),
            worker=worker,
            running_at=func.coalesce(Job.running_at, func.now()),
            claimed_at=func.clock_timestamp(),
        )
        .returning(Job.attempt)
        .execution_options(synchronize_session=False)
    )
    if attempt is None:
        return None
    record_state(session, job_id, "running", attempt=attempt)
    return token


def renew(session: Session, job_id: str, token: str, lease_seconds: float) -> str | None:
    """Extend the lease; returns the job's state (`running` or `canceling`), or None if the lease is lost."""
    return session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.lease_token == token)
        .values(lease_expires_at=from_now(lease_seconds))
        .returning(Job.state)
        .execution_options(synchronize_session=False)
    )


def state_under_lease(session: Session, job_id: str, token: str) -> str | None:
    """State of the job, or None if the lease is lost; writes nothing."""
    return session.scalar(select(Job.state).where(Job.id == job_id, Job.lease_token == token))


def report_progress(
    session: Session,
    job_id: str,
    token: str,
    *,
    stage: str,
    done: int,
    total: int,
    eta_seconds: float | None,
    stages: list[Json] | None = None,
    **more: Any,
) -> None:
    """Store the progress of a stage and notify listeners; `more` are fields to add unless null, such as `part` of several runs.

    Parameters
    ----------
    stages : the job's stages; None leaves the stored ones

    Raises
    ------
    LeaseLost, CancelRequested
    """
    progress: Json = {"stage": stage, "done": done, "total": total, "eta_seconds": eta_seconds}
    progress |= {name: value for name, value in more.items() if value is not None}
    update_leased(session, job_id, token, progress=progress, **_listed(stages))
    insert_event(session, job_id, "progress", progress)


def list_stages(session: Session, job_id: str, token: str, stages: list[Json]) -> None:
    """Store the stages of a running job.

    Raises
    ------
    LeaseLost, CancelRequested
    """
    update_leased(session, job_id, token, **_listed(stages))


def add_event(session: Session, job_id: str, token: str, kind: str, data: Json, *, stages: list[Json] | None = None) -> None:
    """Insert an event of a running job (`stage`, `epoch`, `warning`) under its lease.

    Parameters
    ----------
    stages : the job's stages after the event; None leaves the stored ones

    Raises
    ------
    LeaseLost, CancelRequested
    """
    update_leased(session, job_id, token, worker=Job.worker, **_listed(stages))
    insert_event(session, job_id, kind, data)


def succeed(session: Session, job_id: str, token: str) -> None:
    """End a running job as `succeeded`. Add its results to the same session, so that both are one transaction.

    Raises
    ------
    LeaseLost, CancelRequested
    """
    attempt = update_leased(session, job_id, token, state="succeeded", error=None, progress=None, **ended())
    record_state(session, job_id, "succeeded", attempt=attempt)


def fail(session: Session, job_id: str, token: str, error: Json) -> None:
    """End a running job as `failed` with `error` {code, message, param}.

    Raises
    ------
    LeaseLost, CancelRequested
    """
    attempt = update_leased(session, job_id, token, state="failed", error=error, **ended())
    record_state(session, job_id, "failed", attempt=attempt, error=error)
    refuse_checked_row(session, job_id, error)


def give_up_attempt(session: Session, job_id: str, token: str, error: Json, max_attempts: int) -> str:
    """Queue a job again after a lost attempt, or fail it with `error` if no attempts are left; returns the new state.

    Raises
    ------
    LeaseLost, CancelRequested
    """
    attempt = update_leased(session, job_id, token, worker=Job.worker)
    if attempt >= max_attempts:
        fail(session, job_id, token, error)
        return "failed"
    update_leased(session, job_id, token, state="queued", queued_at=func.now(), **unleased())
    record_state(session, job_id, "queued", attempt=attempt, reason=error["message"])
    return "queued"


def requeue(session: Session, job_id: str, token: str) -> None:
    """Return a job to the queue when its worker shuts down; the attempt does not count.

    Raises
    ------
    LeaseLost, CancelRequested
    """
    attempt = update_leased(session, job_id, token, state="queued", attempt=Job.attempt - 1, queued_at=func.now(), **unleased())
    record_state(session, job_id, "queued", attempt=attempt, reason="The worker is shutting down.")


def request_cancel(session: Session, job: Job) -> str:
    """Cancel a queued job, request cancellation of a running one, or leave a finished one unchanged; returns the new state."""
    session.flush()
    row = session.execute(select(Job.state, Job.attempt).where(Job.id == job.id).with_for_update()).one()
    state = row.state
    if state == "queued":
        update_job(session, job.id, state="canceled", error=None, **ended())
        refuse_checked_row(session, job.id, CANCELED)
        state = "canceled"
    elif state == "running":
        update_job(session, job.id, state="canceling", canceling_at=func.now())
        state = "canceling"
    if state != row.state:
        record_state(session, job.id, state, attempt=row.attempt)
    session.expire(job)
    return state


def request_cancel_all(session: Session, job_ids: Sequence[str]) -> None:
    """`request_cancel` for many public jobs in a few statements."""
    session.flush()
    statement = select(Job.id, Job.state, Job.attempt).where(Job.id.in_(job_ids), Job.state.in_(("queued", "running")))
    # Locked in the order of ids, which prevents deadlocks.
    rows = session.execute(statement.order_by(Job.id).with_for_update()).all()
    queued = [row.id for row in rows if row.state == "queued"]
    running = [row.id for row in rows if row.state == "running"]
    data_by_job: dict[str, Json] = {
        row.id: {"state": "canceled" if row.state == "queued" else "canceling", "attempt": row.attempt} for row in rows
    }
    update_jobs(session, queued, state="canceled", error=None, **ended())
    update_jobs(session, running, state="canceling", canceling_at=func.now())
    record_states(session, data_by_job)
    notify_all(session, list(data_by_job))
    session.expire_all()


def finish_cancel(session: Session, job_id: str, token: str) -> None:
    """Change `canceling` to `canceled` after the worker has stopped computing.

    Raises
    ------
    LeaseLost
    """
    attempt = session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.lease_token == token, Job.state == "canceling")
        .values(state="canceled", **ended())
        .returning(Job.attempt)
        .execution_options(synchronize_session=False)
    )
    if attempt is None:
        raise LeaseLost(job_id)
    record_state(session, job_id, "canceled", attempt=attempt)
    refuse_checked_row(session, job_id, CANCELED)


def release_expired(session: Session, max_attempts: int) -> list[str]:
    """End expired leases: queue the job again, fail it as `worker_lost`, or cancel it if that was requested.

    Returns the ids of jobs queued again, for which the caller wakes workers after the commit.
    """
    expired = session.execute(
        select(Job.id, Job.state, Job.attempt)
        .where(Job.state.in_(("running", "canceling")), Job.lease_expires_at < func.now())
        .order_by(Job.queued_at)
        .with_for_update(skip_locked=True)
    ).all()
    queued: list[str] = []
    for job_id, state, attempt in expired:
        if state == "canceling":
            update_job(session, job_id, state="canceled", **ended())
            record_state(session, job_id, "canceled", attempt=attempt)
            refuse_checked_row(session, job_id, CANCELED)
        elif attempt >= max_attempts:
            update_job(session, job_id, state="failed", error=WORKER_LOST, **ended())
            record_state(session, job_id, "failed", attempt=attempt, error=WORKER_LOST)
            refuse_checked_row(session, job_id, WORKER_LOST)
        else:
            update_job(session, job_id, state="queued", queued_at=func.now(), **unleased())
            record_state(session, job_id, "queued", attempt=attempt, reason="The worker stopped responding.")
            queued.append(job_id)
    return queued


def _listed(stages: list[Json] | None) -> dict[str, Any]:
    return {} if not stages else {"stages": stages}
