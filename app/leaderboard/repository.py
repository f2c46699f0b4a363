"""All SQL of leaderboards: an owner's succeeded score jobs with the numbers of their summaries. `ix_jobs_board` has one entry for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Subquery, func, literal_column, select, true
from sqlalchemy.orm import Session

from app.db.lists.job_summaries import ASKED
from app.db.models import Dataset, Job, Json, Model
from app.db.tables.job_tables import ON_A_BOARD


class LeaderboardRepository:
    """Scores of one owner, without those of libraries given by id or cut from another data set, which are not the model's own."""

    def __init__(self, session: Session, owner_id: str) -> None:
        self.session = session
        self.owner_id = owner_id
        self._own = (Job.owner_id == owner_id, literal_column(ON_A_BOARD))

    def settings(self) -> Sequence[Any]:
        """(data set, its name, digest, models, library, elements, vlm, vocabulary, protocol, edition, quantity) of each scored setting.

        Rows of the same content are one data set and one model: those of `_alike`.

        Columns
        -------
        digest : `Job.board`; several may differ in settings that decide no score
        """
        dataset, model = self._alike(Dataset), self._alike(Model)
        scored = select(Job.board, Job.dataset_id, Job.model_id).where(*self._own).distinct().subquery()
        boards = (
            select(dataset.columns.shown, scored.columns.board, func.array_agg(model.columns.shown.distinct()).label("models"))
            .join(dataset, dataset.columns.id == scored.columns.dataset_id)
            .join(model, model.columns.id == scored.columns.model_id)
            .group_by(dataset.columns.shown, scored.columns.board)
            .subquery()
        )
        # In the order of the index, without which PostgreSQL reads the table until it meets one.
        first = (Job.dataset_id, Job.model_id)
        example = select(*ASKED, Job.summary).where(*self._own, Job.board == boards.columns.board).order_by(*first).limit(1).lateral()
        statement = (
            select(
                *(Dataset.id, Dataset.name, boards.columns.board, boards.columns.models),
                *(example.columns[column.name] for column in ASKED),
                *(example.columns.summary["edition"].as_integer(), example.columns.summary["quantity"].as_string()),
            )
            .join(Dataset, Dataset.id == boards.columns.shown)
            .join(example, true())
        )
        return self.session.execute(statement).all()

    def shown_dataset(self, dataset_id: str) -> str | None:
        """The data set that stands for all of the same content."""
        dataset = self._alike(Dataset)
        return self.session.scalar(select(dataset.columns.shown).where(dataset.columns.id == dataset_id))

    def scores(self, dataset_id: str, boards: Sequence[str]) -> Sequence[Any]:
        """(job, model, verdict, iis, accuracy_low, chance) of each score, oldest first.

        Parameters
        ----------
        dataset_id, boards : of `settings`
        """
        dataset, model = self._alike(Dataset), self._alike(Model)
        same = select(dataset.columns.id).where(dataset.columns.shown == dataset_id)
        numbers = (Job.summary[name].as_float() for name in ("iis", "accuracy_low", "chance"))
        statement = (
            select(Job.id, model.columns.shown, Job.summary["verdict"].as_string(), *numbers)
            .join(model, model.columns.id == Job.model_id)
            .where(*self._own, Job.board.in_(boards), Job.dataset_id.in_(same))
            .order_by(Job.id)
        )
        return self.session.execute(statement).all()

    def summaries(self, job_ids: Sequence[str]) -> dict[str, Json]:
        """Summaries of jobs, by id."""
        found = self.session.execute(select(Job.id, Job.summary).where(*self._own, Job.id.in_(job_ids)))
        return {job_id: summary or {} for job_id, summary in found}

    def models(self, ids: Sequence[str]) -> dict[str, tuple[str, bool]]:
        """Names of models, and whether they are deleted, by id."""
        found = self.session.execute(
            select(Model.id, Model.name, Model.deleted_at.is_not(None)).where(Model.owner_id == self.owner_id, Model.id.in_(ids))
        )
        return {model_id: (name, deleted) for model_id, name, deleted in found}

    def _alike(self, table: type[Dataset] | type[Model]) -> Subquery:
        """(id, shown): each row, and the oldest of those with its digest that is not deleted, or the oldest of all."""
        content = func.coalesce(table.digest, table.id)
        shown = func.first_value(table.id).over(partition_by=content, order_by=(table.deleted_at.is_not(None), table.id))
        return select(table.id, shown.label("shown")).where(table.owner_id == self.owner_id).subquery()
