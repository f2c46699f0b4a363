"""All SQL of fine-tuning, read through the owner's job."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.models import FinetuneResult, Job


class FinetuneRepository:
    """Results of an owner's fine-tuning jobs."""

    def __init__(self, session: Session, owner_id: str) -> None:
        self.session = session
        self.owner_id = owner_id

    def of_job(self, job_id: str) -> FinetuneResult:
        """The result of a job that succeeded: its end and its result are one transaction, so there is exactly one."""
        statement = select(FinetuneResult).join(Job, Job.id == FinetuneResult.job_id)
        return self.session.scalars(statement.where(Job.owner_id == self.owner_id, FinetuneResult.job_id == job_id)).one()
