"""All SQL of public jobs. Internal checks of models and data sets share the table and are left out."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, ClassVar

from sqlalchemy import Double, Select, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import undefer, with_expression

from app.db.lists.listing import ListQuery, SortKey
from app.db.models import IIS_ORDER, PUBLIC_JOB_KINDS, ExplanationBatch, FinetuneResult, Job
from app.db.repository import OwnedRepository
from app.db.scheduling import QUEUE_POSITION

BATCH_SUMMARY = (
    select(ExplanationBatch.summary).where(ExplanationBatch.job_id == Job.id).correlate_except(ExplanationBatch).scalar_subquery()
)
_NUMBERS = (("means", FinetuneResult.findings["means"]), ("differences", FinetuneResult.findings["differences"]["iis"]))
FINETUNE_NUMBERS = (
    select(func.jsonb_build_object(*(value for pair in _NUMBERS for value in pair), type_=JSONB))
    .where(FinetuneResult.job_id == Job.id)
    .correlate_except(FinetuneResult)
    .scalar_subquery()
)


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
        shown = (
            undefer(Job.model_name),
            undefer(Job.dataset_name),
            with_expression(Job.batch_summary, BATCH_SUMMARY),
            with_expression(Job.finetune_numbers, FINETUNE_NUMBERS),
        )
        return super().owned().where(Job.kind.in_(PUBLIC_JOB_KINDS)).options(*shown)

    def _found(self, row_id: str, rows: Select[Any]) -> Job:
        """One job, with the stages and the position that lists leave out."""
        return super()._found(row_id, rows.options(undefer(Job.stages), with_expression(Job.queue_position, QUEUE_POSITION)))

    def page(
        self, query: ListQuery, *, kind: str | None, state: str | None, model: str | None, dataset: str | None
    ) -> tuple[Sequence[Job], list[str]]:
        """Rows and cursors as `listed` has them, filtered by kind, state, model or data set where given."""
        wanted = ((Job.kind, kind), (Job.state, state), (Job.model_id, model), (Job.dataset_id, dataset))
        return self.listed(query, *(column == value for column, value in wanted if value is not None))
