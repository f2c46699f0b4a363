"""Count the jobs, studies and concept libraries that use a model or a data set."""

from __future__ import annotations

from sqlalchemy import ColumnElement, distinct, func, select
from sqlalchemy.orm import Session

from app.db.models import FINISHED_STATES, PUBLIC_JOB_KINDS, ConceptLibrary, Job, StudyCell


def count_uses(session: Session, owner_id: str, job: ColumnElement[bool], library: ColumnElement[bool]) -> dict[str, int]:
    """Numbers of an owner's unfinished and finished jobs, studies and concept libraries, by field of `UsesView`.

    Parameters
    ----------
    job, library : conditions on `Job` and on `ConceptLibrary`
    """
    using = (Job.owner_id == owner_id, Job.kind.in_(PUBLIC_JOB_KINDS), job)
    finished = Job.state.in_(FINISHED_STATES)
    statement = select(
        select(func.count()).where(*using, ~finished).scalar_subquery(),
        select(func.count()).where(*using, finished).scalar_subquery(),
        select(func.count(distinct(StudyCell.study_id))).join(Job, Job.id == StudyCell.job_id).where(*using).scalar_subquery(),
        select(func.count()).where(ConceptLibrary.owner_id == owner_id, library).scalar_subquery(),
    )
    counts = session.execute(statement).one()
    return dict(zip(("unfinished_jobs", "finished_jobs", "studies", "concept_libraries"), counts, strict=True))
