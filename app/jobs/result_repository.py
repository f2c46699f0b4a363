"""All SQL of results, read through the owner's job."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.models import Job, Result


class ResultRepository:
    """Results of an owner's jobs."""

    def __init__(self, session: Session, owner_id: str) -> None:
        self.session = session
        self.owner_id = owner_id

    def of_job(self, job_id: str) -> Result:
        """The result of a job that succeeded: its end and its result are one transaction, so there is exactly one."""
        statement = select(Result).join(Job, Job.id == Result.job_id).where(Job.owner_id == self.owner_id, Result.job_id == job_id)
        return self.session.scalars(statement).one()
