"""Summaries of score jobs: the numbers of their reports that lists and leaderboards show and sort by, and the board, kept with the job."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from sqlalchemy import Text, and_, case, cast, func, literal, select, text, update
from sqlalchemy.orm import Session

from app.db.models import Job, Result
from app.db.study_rows import ENDS, reported
from app.db.tables.job_tables import UNSUMMARISED

BATCH_ROWS = 500
SUMMARISED = (
    "edition",
    "quantity",
    "verdict",
    "chance",
    *(
        f"{name}{end}"
        for name in ("accuracy", "few_concepts_mean", "iis", "gain_isotropic", "gain_matched", "few_gain_matched")
        for end in ENDS
    ),
)
"""Names of the numbers, as in the table of a study."""
ASKED = tuple(Job.spec[name].label(name) for name in ("library", "elements", "vlm", "vocabulary", "protocol"))
"""Settings of a request that decide a score; edition and quantity of the report do too."""


def summarise(session: Session, job_ids: Sequence[str]) -> None:
    """Write the summaries and boards of score jobs from their reports.

    Jobs with libraries that are given by id or cut from another data set, which are not the model's own, are on no board.
    """
    table, columns = reported()
    named = {column.name: column for column in columns}
    numbers = chain.from_iterable((literal(name), column) for name, column in named.items() if name in SUMMARISED)
    settings = cast(func.jsonb_build_array(*ASKED, named["edition"], named["quantity"]), Text)
    own_library = and_(Job.library_dataset_id.is_(None), Job.spec["library"]["kind"].astext.is_not(None))
    board = case((and_(Job.model_id.is_not(None), own_library), func.md5(settings)), else_="")
    summary, board = (
        select(value).select_from(Result).join(table, literal(True)).where(Result.job_id == Job.id).scalar_subquery()
        for value in (func.jsonb_build_object(*numbers), board)
    )
    written = {"summary": func.coalesce(summary, text("'{}'::jsonb")), "board": func.coalesce(board, "")}
    statement = update(Job).where(Job.id.in_(job_ids)).values(written)
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
