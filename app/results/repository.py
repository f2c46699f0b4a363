"""All SQL of curves, their points and plots, read through the owner's job. The bytes of plots are in artifact storage."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from app.db.models import Curve, CurvePoint, Job, Plot


class CurveRepository:
    """Curves of an owner's jobs."""

    def __init__(self, session: Session, owner_id: str) -> None:
        self.session = session
        self.owner_id = owner_id

    def points(self, job_id: str) -> Sequence[Row[str, CurvePoint]]:
        """Each point with its curve's name: curve by curve, by rising sparsity."""
        statement = (
            select(Curve.name, CurvePoint)
            .join(CurvePoint, CurvePoint.curve_id == Curve.id)
            .join(Job, Job.id == Curve.job_id)
            .where(Job.owner_id == self.owner_id, Curve.job_id == job_id)
            .order_by(Curve.name, CurvePoint.sparsity)
        )
        return self.session.execute(statement).all()


class PlotRepository:
    """Plots of an owner's jobs."""

    def __init__(self, session: Session, owner_id: str) -> None:
        self.session = session
        self.owner_id = owner_id

    def of_job(self, job_id: str) -> Sequence[Plot]:
        """Each plot of a job, by name and format."""
        statement = (
            select(Plot)
            .join(Job, Job.id == Plot.job_id)
            .where(Job.owner_id == self.owner_id, Plot.job_id == job_id)
            .order_by(Plot.name, Plot.format)
        )
        return self.session.scalars(statement).all()
