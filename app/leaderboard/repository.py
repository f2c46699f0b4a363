"""All SQL of leaderboards: an owner's succeeded score jobs with their reports' numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.db.models import Dataset, Job, Json, Model, Result
from app.db.study_rows import reported

_ASKED = tuple(Job.spec[name].label(name) for name in ("library", "elements", "vlm", "vocabulary", "protocol"))
_EDITION = func.coalesce(Result.report["edition"].as_integer(), 1).label("edition")


class LeaderboardRepository:
    """Scores of one owner, without those of libraries given by id or cut from another data set, which are not the model's own."""

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
        """(data set, its name, models, library, elements, vlm, vocabulary, protocol, edition) of each scored setting, once."""
        models = func.array_agg(Job.model_id.distinct()).label("models")
        asked = (
            select(Job.dataset_id, models, *_ASKED, _EDITION)
            .join(Result, Result.job_id == Job.id)
            .where(*self._own)
            .group_by(Job.dataset_id, *_ASKED, _EDITION)
            .subquery()
        )
        settings = [column for column in asked.columns if column.name not in ("dataset_id", "models")]
        statement = select(Dataset.id, Dataset.name, asked.columns.models, *settings).join(asked, asked.columns.dataset_id == Dataset.id)
        return self.session.execute(statement).all()

    def scores(self, dataset_id: str, library: Json) -> Sequence[Any]:
        """(job, model, its name, whether it is deleted, its settings, numbers of `reported` …), oldest first."""
        table, numbers = reported()
        statement = (
            select(Job.id, Job.model_id, Model.name, Model.deleted_at.is_not(None), *_ASKED, *numbers)
            .join(Result, Result.job_id == Job.id)
            .join(Model, Model.id == Job.model_id)
            .join(table, literal(True))
            .where(*self._own, Job.dataset_id == dataset_id, Job.spec["library"] == cast(library, JSONB))
            .order_by(Job.id)
        )
        return self.session.execute(statement).all()
