"""All SQL of public jobs. Internal checks of models and data sets share the table and are left out."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, ClassVar

from sqlalchemy import Double, Select, literal, literal_column
from sqlalchemy.orm import undefer, with_expression

from app.db.lists.listing import ListQuery, SortKey
from app.db.models import IIS_ORDER, PUBLIC_JOB_KINDS, Job
from app.db.repository import OwnedRepository
from app.db.scheduling import QUEUE_POSITION


def _iis_of(job: Job) -> float:
    iis = (job.summary or {}).get("iis")
    return -inf if iis is None else float(iis)


class JobRepository(OwnedRepository[Job]):
    """An owner's public jobs."""

    table = Job
    noun = "job"
    sort_keys: ClassVar = {"iis": SortKey(literal_column(IIS_ORDER, Double), literal, _iis_of, float)}

    def owned(self) -> Select[Any]:
        """The owner's jobs of public kinds."""
        named = (undefer(Job.model_name), undefer(Job.dataset_name))
        return super().owned().where(Job.kind.in_(PUBLIC_JOB_KINDS)).options(*named)

    def _found(self, row_id: str, rows: Select[Any]) -> Job:
        """One job, with the stages and the position that lists leave out."""
        return super()._found(row_id, rows.options(undefer(Job.stages), with_expression(Job.queue_position, QUEUE_POSITION)))

    def page(
        self, query: ListQuery, *, kind: str | None, state: str | None, model: str | None, dataset: str | None
    ) -> tuple[Sequence[Job], list[str]]:
        """Rows and cursors as `listed` has them, filtered by kind, state, model or data set where given."""
        wanted = ((Job.kind, kind), (Job.state, state), (Job.model_id, model), (Job.dataset_id, dataset))
        return self.listed(query, *(column == value for column, value in wanted if value is not None))
