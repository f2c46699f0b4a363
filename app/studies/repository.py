"""All SQL of studies, their cells and jobs, and the rows that a grid names. Results: `app.db.study_rows`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar, TypeVar

from sqlalchemy import Row, exists, func, insert, select, update
from sqlalchemy.orm import aliased

from app.db.deletion.job_deletion import lock_planning
from app.db.lists.listing import by_name
from app.db.models import FINISHED_STATES, Dataset, Job, Json, Model, Study, StudyCell
from app.db.repository import OwnedRepository

REUSABLE_STATES = ("succeeded", "running", "queued")
"""States of jobs that a cell may reuse, best first."""

Named = TypeVar("Named", Model, Dataset)


class StudyRepository(OwnedRepository[Study]):
    """Studies of one owner."""

    table = Study
    noun = "study"
    sort_keys: ClassVar = {"name": by_name(Study)}

    def lock_planning(self) -> None:
        """Lock planning for this owner until the commit, so that equal requests do not both create jobs and planned ones stay."""
        lock_planning(self.session, self.owner_id)

    def models(self, ids: Collection[str]) -> dict[str, Model]:
        """The owner's models of these ids, deleted ones included, locked until the commit."""
        return self._named(Model, ids)

    def datasets(self, ids: Collection[str]) -> dict[str, Dataset]:
        """The owner's data sets of these ids, deleted ones included, locked until the commit."""
        return self._named(Dataset, ids)

    def reusable_jobs(self, dataset_ids: Collection[str]) -> Sequence[Row[str, str, Json]]:
        """(id, state, spec) of reusable score jobs on these data sets, oldest first."""
        wanted = (Job.owner_id == self.owner_id, Job.kind == "score", Job.dataset_id.in_(dataset_ids), Job.state.in_(REUSABLE_STATES))
        return self.session.execute(select(Job.id, Job.state, Job.spec).where(*wanted).order_by(Job.id)).all()

    def cells(self, study_id: str) -> Sequence[Row[StudyCell, str]]:
        """The cells of a study with the states of their jobs, in order."""
        return self.session.execute(self._cells(study_id)).all()

    def page_of_cells(self, study_id: str, after: int | None, limit: int) -> Sequence[Row[StudyCell, str, Json | None]]:
        """Cells after a number with the states and errors of their jobs, one more than `limit`."""
        statement = self._cells(study_id).add_columns(Job.error)
        if after is not None:
            statement = statement.where(StudyCell.number > after)
        return self.session.execute(statement.limit(limit + 1)).all()

    def states(self, study_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """By study: the number of its jobs in each state."""
        statement = (
            select(StudyCell.study_id, Job.state, func.count())
            .join(Job, Job.id == StudyCell.job_id)
            .where(StudyCell.study_id.in_(study_ids), Job.owner_id == self.owner_id)
            .group_by(StudyCell.study_id, Job.state)
        )
        counted: dict[str, dict[str, int]] = {study_id: {} for study_id in study_ids}
        for study_id, state, count in self.session.execute(statement):
            counted[study_id][state] = count
        return counted

    def jobs_of_its_own(self, study_id: str) -> Sequence[str]:
        """The unfinished jobs that a study created and no other study waits for."""
        elsewhere = aliased(StudyCell)
        waiting = select(Study.id).where(Study.id == elsewhere.study_id, Study.canceled_at.is_(None))
        statement = (
            select(Job.id)
            .join(StudyCell, StudyCell.job_id == Job.id)
            .where(StudyCell.study_id == study_id, StudyCell.created, Job.owner_id == self.owner_id, Job.state.not_in(FINISHED_STATES))
            .where(~exists().where(elsewhere.job_id == Job.id, elsewhere.study_id != study_id, waiting.exists()))
        )
        return self.session.scalars(statement).all()

    def hand_over(self, study_id: str) -> None:
        """Hand the unfinished jobs that this study created over to another study that waits for them."""
        other = aliased(StudyCell)
        shared = (
            select(StudyCell.job_id, func.min(other.study_id).label("heir"))
            .join(other, (other.job_id == StudyCell.job_id) & (other.study_id != study_id))
            .join(Study, (Study.id == other.study_id) & Study.canceled_at.is_(None))
            .join(Job, Job.id == StudyCell.job_id)
            .where(StudyCell.study_id == study_id, StudyCell.created, Job.state.not_in(FINISHED_STATES))
            .group_by(StudyCell.job_id)
        )
        for job_id, heir in self.session.execute(shared).all():
            answering = update(StudyCell).where(StudyCell.job_id == job_id, StudyCell.study_id.in_((study_id, heir)))
            self.session.execute(answering.values(created=StudyCell.study_id == heir))

    def add_cells(self, cells: list[Json]) -> None:
        """Insert many cells, a thousand at a time."""
        if cells:
            self.session.execute(insert(StudyCell).returning(StudyCell.number), cells)

    def give_jobs(self, study_id: str, jobs: Iterable[tuple[int, str, bool]]) -> None:
        """Replace the jobs of cells: (number, job, whether the study created it)."""
        columns = [{"study_id": study_id, "number": number, "job_id": job_id, "created": created} for number, job_id, created in jobs]
        if columns:
            self.session.execute(update(StudyCell), columns)

    def names(self, table: type[Model] | type[Dataset], ids: Collection[str]) -> dict[str, str]:
        """Names by id, of deleted rows too."""
        found = self.session.execute(select(table.id, table.name).where(table.owner_id == self.owner_id, table.id.in_(ids)))
        return {row[0]: row[1] for row in found}

    def _cells(self, study_id: str) -> Any:
        return (
            select(StudyCell, Job.state)
            .join(Job, Job.id == StudyCell.job_id)
            .where(StudyCell.study_id == study_id, Job.owner_id == self.owner_id)
            .order_by(StudyCell.number)
        )

    def _named(self, table: type[Named], ids: Collection[str]) -> dict[str, Named]:
        wanted = [one for one in ids if "\0" not in one]
        statement = select(table).where(table.owner_id == self.owner_id, table.id.in_(wanted)).with_for_update(read=True)
        return {row.id: row for row in self.session.scalars(statement)}
