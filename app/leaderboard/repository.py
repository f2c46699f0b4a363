"""All SQL of leaderboards: an owner's succeeded score jobs with their reports' numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Subquery, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.db.models import Dataset, Job, Json, Model, Result
from app.db.study_rows import ACCURACY, reported

_ASKED = tuple(Job.spec[name].label(name) for name in ("library", "elements", "vlm", "vocabulary", "protocol"))
_EDITION = func.coalesce(Result.report["edition"].as_integer(), 1).label("edition")
_QUANTITY = func.coalesce(Result.report["quantity"].as_string(), ACCURACY).label("quantity")


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
        """(data set, its name, models, library, elements, vlm, vocabulary, protocol, edition, quantity) of each scored setting, once.

        Rows of the same content are one data set and one model: those of `_alike`.
        """
        dataset, model = self._alike(Dataset), self._alike(Model)
        models = func.array_agg(model.columns.shown.distinct()).label("models")
        asked = (
            select(dataset.columns.shown.label("dataset_id"), models, *_ASKED, _EDITION, _QUANTITY)
            .join(Result, Result.job_id == Job.id)
            .join(dataset, dataset.columns.id == Job.dataset_id)
            .join(model, model.columns.id == Job.model_id)
            .where(*self._own)
            .group_by(dataset.columns.shown, *_ASKED, _EDITION, _QUANTITY)
            .subquery()
        )
        settings = [column for column in asked.columns if column.name not in ("dataset_id", "models")]
        statement = select(Dataset.id, Dataset.name, asked.columns.models, *settings).join(asked, asked.columns.dataset_id == Dataset.id)
        return self.session.execute(statement).all()

    def shown_dataset(self, dataset_id: str) -> str | None:
        """The data set that stands for all of the same content."""
        dataset = self._alike(Dataset)
        return self.session.scalar(select(dataset.columns.shown).where(dataset.columns.id == dataset_id))

    def scores(self, dataset_id: str, library: Json) -> Sequence[Any]:
        """(job, model, its name, whether it is deleted, its settings, numbers of `reported` …), oldest first.

        Parameters
        ----------
        dataset_id : of `settings`
        """
        table, numbers = reported()
        dataset, model = self._alike(Dataset), self._alike(Model)
        same = select(dataset.columns.id).where(dataset.columns.shown == dataset_id)
        statement = (
            select(Job.id, Model.id, Model.name, Model.deleted_at.is_not(None), *_ASKED, *numbers)
            .join(Result, Result.job_id == Job.id)
            .join(model, model.columns.id == Job.model_id)
            .join(Model, Model.id == model.columns.shown)
            .join(table, literal(True))
            .where(*self._own, Job.dataset_id.in_(same), Job.spec["library"] == cast(library, JSONB))
            .order_by(Job.id)
        )
        return self.session.execute(statement).all()

    def _alike(self, table: type[Dataset] | type[Model]) -> Subquery:
        """(id, shown): each row, and the oldest of those with its digest that is not deleted, or the oldest of all."""
        content = func.coalesce(table.digest, table.id)
        shown = func.first_value(table.id).over(partition_by=content, order_by=(table.deleted_at.is_not(None), table.id))
        return select(table.id, shown.label("shown")).where(table.owner_id == self.owner_id).subquery()
