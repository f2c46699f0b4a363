"""Summaries of score jobs: the numbers of their reports that lists of jobs show and sort by, kept with the job."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from sqlalchemy import func, literal, select, text, update
from sqlalchemy.orm import Session

from app.db.models import UNSUMMARISED, Job, Result
from app.db.study_rows import ENDS, reported

BATCH_ROWS = 500
SUMMARISED = (
    "edition",
    "quantity",
    "verdict",
    "chance",
    *(f"{name}{end}" for name in ("accuracy", "few_concepts_mean", "iis", "gain_isotropic", "gain_matched") for end in ENDS),
)
"""Names of the numbers, as in the table of a study."""


def summarise(session: Session, job_ids: Sequence[str]) -> None:
    """Write the summaries of score jobs from their reports."""
    table, columns = reported()
    numbers = chain.from_iterable((literal(column.name), column) for column in columns if column.name in SUMMARISED)
    summary = (
        select(func.jsonb_build_object(*numbers))
        .select_from(Result)
        .join(table, literal(True))
        .where(Result.job_id == Job.id)
        .scalar_subquery()
    )
    statement = update(Job).where(Job.id.in_(job_ids)).values(summary=func.coalesce(summary, text("'{}'::jsonb")))
    session.execute(statement.execution_options(synchronize_session=False))


def summarise_earlier(session: Session) -> int:
    """Write missing summaries, of jobs that a worker of an earlier version finished; returns how many. Commits every `BATCH_ROWS`."""
    missing = select(Job.id).where(text(UNSUMMARISED)).order_by(Job.id).limit(BATCH_ROWS).with_for_update(skip_locked=True)
    written = 0
    while job_ids := session.scalars(missing).all():
        summarise(session, job_ids)
        session.commit()
        written += len(job_ids)
    session.rollback()
    return written
