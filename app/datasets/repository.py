"""All SQL of data sets."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ARRAY, Select, Text, and_, cast, or_, select
from sqlalchemy.orm import defer

from app.db.models import FINISHED_STATES, Dataset, Job, Json
from app.db.repository import OwnedRepository

DETAILS = ["class_names", "counts", "corrupt", "warnings"]


class DatasetRepository(OwnedRepository[Dataset]):
    """Data sets of one owner, without deleted ones."""

    table = Dataset
    noun = "data set"

    def owned(self) -> Select[Dataset]:
        return super().owned().where(Dataset.deleted_at.is_(None))

    def page(self, after: str | None, limit: int) -> list[tuple[Dataset, Json | None]]:
        """Rows as `list` has them, each with its `info` without the entries that grow with classes and files."""
        statement = self.owned().add_columns(Dataset.info.op("-")(cast(DETAILS, ARRAY(Text)))).options(defer(Dataset.info))
        if after is not None:
            statement = statement.where(Dataset.id < after)
        return [(row[0], row[1]) for row in self.session.execute(statement.order_by(Dataset.id.desc()).limit(limit + 1))]

    def validations(self, dataset: Dataset) -> Sequence[Job]:
        """Unfinished validations of the data set."""
        validating = (
            Job.owner_id == self.owner_id,
            Job.kind == "check_dataset",
            Job.dataset_id == dataset.id,
            Job.state.not_in(FINISHED_STATES),
        )
        return self.session.scalars(select(Job).where(*validating).order_by(Job.id)).all()

    def unfinished_job(self, dataset: Dataset) -> Job | None:
        """An unfinished job that needs the data set, checks included, except a check that is being canceled."""
        needs_it = or_(Job.dataset_id == dataset.id, Job.library_dataset_id == dataset.id)
        ends = and_(Job.kind == "check_dataset", Job.state == "canceling")
        using = (Job.owner_id == self.owner_id, needs_it, Job.state.not_in(FINISHED_STATES), ~ends)
        return self.session.scalar(select(Job).where(*using).limit(1))
