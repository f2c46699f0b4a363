"""All SQL of batches of explanations, read through the owner's job."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.models import ExplanationBatch, Job, Predictor


class BatchRepository:
    """What an owner's jobs of kind explain left, and what they can ask for."""

    def __init__(self, session: Session, owner_id: str) -> None:
        self.session = session
        self.owner_id = owner_id

    def of_job(self, job_id: str) -> ExplanationBatch:
        """The batch of a job that succeeded: its end and its batch are one transaction, so there is exactly one."""
        statement = select(ExplanationBatch).join(Job, Job.id == ExplanationBatch.job_id)
        return self.session.scalars(statement.where(Job.owner_id == self.owner_id, ExplanationBatch.job_id == job_id)).one()

    def nodes(self, scored_job_id: str) -> Sequence[int]:
        """Numbers of concepts that a scored job's predictors keep, falling."""
        statement = select(Predictor.kept).where(Predictor.owner_id == self.owner_id, Predictor.job_id == scored_job_id)
        return self.session.scalars(statement.order_by(Predictor.kept.desc())).all()
