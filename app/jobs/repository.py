"""All SQL of public jobs. Internal checks of models and data sets share the table and are left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select

from app.db.models import PUBLIC_JOB_KINDS, Job
from app.db.repository import OwnedRepository


class JobRepository(OwnedRepository[Job]):
    """An owner's public jobs."""

    table = Job
    noun = "job"

    def owned(self) -> Select[Any]:
        """The owner's jobs of public kinds."""
        return super().owned().where(Job.kind.in_(PUBLIC_JOB_KINDS))

    def page(
        self, *, kind: str | None, state: str | None, model: str | None, dataset: str | None, after: str | None, limit: int
    ) -> Sequence[Job]:
        """Newest first, filtered by kind, state, model or data set where given."""
        wanted = ((Job.kind, kind), (Job.state, state), (Job.model_id, model), (Job.dataset_id, dataset))
        return self.list(*(column == value for column, value in wanted if value is not None), after=after, limit=limit)
