"""All SQL of leaderboards: an owner's succeeded score jobs with their reports' numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.models import Dataset, Job, Model, Result
from app.studies.cells import reported_columns


class LeaderboardRepository:
    """Scores of one owner. Libraries given by id, or cut from another data set, stand on no board: they are not the model's own."""

    def __init__(self, session: Session, owner_id: str) -> None:
        self.session = session
        self.owner_id = owner_id
        self._own = (
            Job.owner_id == owner_id,
            Job.kind == "score",
            Job.state == "succeeded",
            Job.model_id.is_not(None),
            Job.library_dataset_id.is_(None),
            Job.spec["library"]["kind"].astext.is_not(None),
        )

    def settings(self) -> Sequence[Any]:
        """(data set, its name, library, protocol, model) of everything that was scored, each combination once."""
        columns = (Job.dataset_id, Dataset.name, Job.spec["library"], Job.spec["protocol"].astext, Job.model_id)
        statement = select(*columns).join(Dataset, Dataset.id == Job.dataset_id).where(*self._own).distinct()
        return self.session.execute(statement).all()

    def scores(self, dataset_id: str, protocol: str) -> Sequence[Any]:
        """(job, model, model's name, library, numbers of `app.studies.cells.REPORTED` …) on a data set, oldest first."""
        statement = (
            select(Job.id, Job.model_id, Model.name, Job.spec["library"], *reported_columns())
            .join(Result, Result.job_id == Job.id)
            .join(Model, Model.id == Job.model_id)
            .where(*self._own, Job.dataset_id == dataset_id, Job.spec["protocol"].astext == protocol)
            .order_by(Job.id)
        )
        return self.session.execute(statement).all()
