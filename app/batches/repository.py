"""All SQL of batches of explanations, read through the owner's job."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.models import ExplanationBatch, Job, Predictor


class BatchRepository:
    """Stored batches of an owner's explain jobs, and the nodes that they can name."""

    def __init__(self, session: Session, owner_id: str) -> None:
        self.session = session
        self.owner_id = owner_id

    def of_job(self, job_id: str) -> ExplanationBatch:
        """The batch of a job that succeeded: its end and its batch are one transaction, so there is exactly one."""
        statement = select(ExplanationBatch).join(Job, Job.id == ExplanationBatch.job_id)
        return self.session.scalars(statement.where(Job.owner_id == self.owner_id, ExplanationBatch.job_id == job_id)).one()

    def nodes(self, scored_job_id: str) -> Sequence[int]:
        """Numbers of kept concepts of a scored job's predictors, descending."""
        statement = select(Predictor.kept).where(Predictor.owner_id == self.owner_id, Predictor.job_id == scored_job_id)
        return self.session.scalars(statement.order_by(Predictor.kept.desc())).all()
