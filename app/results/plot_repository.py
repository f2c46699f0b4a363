"""All SQL of plots, read through the owner's job. Their bytes are in artifact storage."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.models import Job, Plot


class PlotRepository:
    """Plots of an owner's jobs."""

    def __init__(self, session: Session, owner_id: str) -> None:
        self.session = session
        self.owner_id = owner_id

    def of_job(self, job_id: str) -> Sequence[Plot]:
        """Every plot of a job, by name and format."""
        statement = (
            select(Plot)
            .join(Job, Job.id == Plot.job_id)
            .where(Job.owner_id == self.owner_id, Plot.job_id == job_id)
            .order_by(Plot.name, Plot.format)
        )
        return self.session.scalars(statement).all()
