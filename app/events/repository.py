"""All SQL of job events, read through the owner's job."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.models import PUBLIC_JOB_KINDS, Job, JobEvent


class EventRepository:
    """Events of an owner's public jobs."""

    def __init__(self, session: Session, owner_id: str) -> None:
        self.session = session
        self.owner_id = owner_id

    def behind(self, job_id: str, event_id: int, limit: int) -> Sequence[JobEvent]:
        """Up to `limit` events of a job after `event_id`, in order."""
        statement = (
            select(JobEvent)
            .join(Job, Job.id == JobEvent.job_id)
            .where(Job.owner_id == self.owner_id, Job.kind.in_(PUBLIC_JOB_KINDS), JobEvent.job_id == job_id, JobEvent.id > event_id)
            .order_by(JobEvent.id)
            .limit(limit)
        )
        return self.session.scalars(statement).all()
