"""Updates of jobs' rows for `app.db.transitions`: under a lease token, which fences a worker's writes, or under a lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, literal_column, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.db.job_events import STAGE_SECONDS, STAGE_USAGE
from app.db.models import Job


class LeaseLost(Exception):
    """The job's row has another lease token; the worker must discard its work."""


class CancelRequested(Exception):
    """The worker holds the lease, but cancellation of the job was requested."""


def update_leased(session: Session, job_id: str, token: str, **values: Any) -> int:
    """Set columns of a running job's row under its lease token; returns its attempt.

    Raises
    ------
    LeaseLost, CancelRequested
    """
    attempt = session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.lease_token == token, Job.state == "running")
        .values(**values)
        .returning(Job.attempt)
        .execution_options(synchronize_session=False)
    )
    if attempt is not None:
        return attempt
    state = session.scalar(select(Job.state).where(Job.id == job_id, Job.lease_token == token))
    raise CancelRequested(job_id) if state == "canceling" else LeaseLost(job_id)


def update_job(session: Session, job_id: str, **values: Any) -> None:
    """Set columns of a job's row, which the caller has locked."""
    session.execute(update(Job).where(Job.id == job_id).values(**values).execution_options(synchronize_session=False))


def update_jobs(session: Session, job_ids: Sequence[str], **values: Any) -> None:
    """Set columns of rows of jobs, which the caller has locked."""
    session.execute(update(Job).where(Job.id.in_(job_ids)).values(**values).execution_options(synchronize_session=False))


def unleased() -> dict[str, Any]:
    """Columns of a job that goes back to the queue."""
    ran_seconds = Job.ran_seconds + func.extract("epoch", func.clock_timestamp() - Job.claimed_at)
    return {"lease_token": None, "lease_expires_at": None, "worker": None, "progress": None, "stages": None, "ran_seconds": ran_seconds}


def ended() -> dict[str, Any]:
    """Columns of a job that ends, with totals of its events."""
    totals = {"stage_seconds": literal_column(STAGE_SECONDS, JSONB), "stage_usage": literal_column(STAGE_USAGE, JSONB)}
    return {"lease_token": None, "lease_expires_at": None, "finished_at": func.clock_timestamp(), **totals}


def from_now(seconds: float) -> Any:
    """SQL expression: the time so many seconds from now."""
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
