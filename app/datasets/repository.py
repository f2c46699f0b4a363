"""All SQL of data sets."""

from __future__ import annotations

from sqlalchemy import Select, or_, select

from app.db.models import FINISHED_STATES, Dataset, Job
from app.db.repository import OwnedRepository


class DatasetRepository(OwnedRepository[Dataset]):
    """Data sets of one owner, without deleted ones."""

    table = Dataset
    noun = "data set"

    def owned(self) -> Select[Dataset]:
        return super().owned().where(Dataset.deleted_at.is_(None))

    def unfinished_job(self, dataset: Dataset) -> Job | None:
        """An unfinished job that needs the data set, checks included."""
        needs_it = or_(Job.dataset_id == dataset.id, Job.library_dataset_id == dataset.id)
        using = (Job.owner_id == self.owner_id, needs_it, Job.state.not_in(FINISHED_STATES))
        return self.session.scalar(select(Job).where(*using).limit(1))
