"""All SQL of public jobs. Internal checks of models and data sets share the table and are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Double, Select, Text, and_, any_, bindparam, func, literal, literal_column, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import undefer, with_expression

from app.db.descriptions import has_part
from app.db.lists.listing import ListQuery, SortKey
from app.db.models import PUBLIC_JOB_KINDS, Dataset, ExplanationBatch, FinetuneResult, Job, Model
from app.db.repository import OwnedRepository
from app.db.scheduling import QUEUE_POSITION
from app.db.tables.job_tables import IIS_ORDER
from app.errors import NotFound

NGRAMS = "name_ngrams(jobs.name, 1)"  # in the words of the index ix_jobs_name_ngrams

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

    def find_if(self, job_id: str, condition: ColumnElement[bool]) -> Job | None:
        """One job as `get` reads it; None where it does not exist or the condition does not hold."""
        try:
            return self._found(job_id, self.owned().where(condition))
        except NotFound:
            return None

    def page(
        self, query: ListQuery, *, kind: str | None, state: str | None, model: str | None, dataset: str | None
    ) -> tuple[Sequence[Job], list[str]]:
        """Rows and cursors as `listed` has them, filtered by kind, state, model or data set where given."""
        wanted = ((Job.kind, kind), (Job.state, state), (Job.model_id, model), (Job.dataset_id, dataset))
        # Values within the statement, so that partial indexes can be used by prepared ones too.
        conditions = [column == bindparam(None, value, literal_execute=True) for column, value in wanted if value is not None]
        part = query.filters.name_contains
        if part is None:
            return self.listed(query, *conditions)
        unnamed = replace(query, filters=replace(query.filters, name_contains=None))
        return self.listed(unnamed, *conditions, self._is_named(part))

    def _is_named(self, part: str) -> ColumnElement[bool]:
        """SQL condition: the name of a job, of its model or of its data set contains `part`.

        Models and data sets are looked up first, so that PostgreSQL knows how many they are and chooses an index by that.
        """
        models, datasets = (
            self.session.scalars(select(table.id).where(table.owner_id == self.owner_id, has_part(table.name, part))).all()
            for table in (Model, Dataset)
        )
        ngrams = func.name_ngrams(part, func.least(3, func.char_length(literal(part))))
        # strpos, since PostgreSQL would multiply the shares of two conditions of which it knows that they are selective.
        named = and_(func.strpos(func.lower(Job.name), func.lower(part)) > 0, literal_column(NGRAMS, ARRAY(Text)).contains(ngrams))
        found = [(Job.model_id, models), (Job.dataset_id, datasets)]
        return or_(named, *(column == any_(literal(list(ids), ARRAY(Text))) for column, ids in found if ids))
