"""Deletion of finished jobs with everything that belongs to them, or of their concept library, and the rows that forbid it.

The caller commits.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session, aliased

from app.db.models import ConceptLibrary, Job, PostedImage, Predictor, Result, Share, StageArtifact, StudyCell

ReferrerKind = Literal["study", "explanation", "library"]


@dataclass(frozen=True)
class Referrer:
    """A row that needs a finished job: a study with a cell of it, a job that explains it, or a job that uses its concept library."""

    kind: ReferrerKind
    id: str


def lock_planning(session: Session, owner_id: str) -> None:
    """Lock the planning of an owner's studies until the commit: a planned cell may reuse any job of the owner."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"studies {owner_id}", 0))))


def lock_jobs(session: Session, job_ids: Collection[str]) -> None:
    """Lock jobs and their concept libraries against new references. Take `lock_planning` first."""
    session.execute(select(Job.id).where(Job.id.in_(job_ids)).order_by(Job.id).with_for_update())
    session.execute(select(ConceptLibrary.id).where(ConceptLibrary.job_id.in_(job_ids)).order_by(ConceptLibrary.id).with_for_update())


def referrer_of(session: Session, job_id: str) -> Referrer | None:
    """The first row that needs the job; None where it may be deleted."""
    for kind, rows in _references(job_id):
        found = session.scalar(rows.limit(1))
        if found is not None:
            return Referrer(kind, found)
    return None


def library_referrer_of(session: Session, job_id: str) -> Referrer | None:
    """The first row that needs the concept library of a job; None where the library may be deleted. A study reads reports alone."""
    for kind, rows in _references(job_id):
        found = session.scalar(rows.limit(1)) if kind != "study" else None
        if found is not None:
            return Referrer(kind, found)
    return None


def is_needed() -> ColumnElement[bool]:
    """SQL condition on `Job`: whether `referrer_of` finds a row."""
    return or_(*(rows.exists() for _, rows in _references(Job.id)))


def delete_jobs(session: Session, job_ids: Sequence[str], released_age_seconds: float) -> None:
    """Delete locked, unneeded jobs with their events, results, curves, figures, libraries, predictors and explanations.

    Garbage collection deletes their content afterwards: figures at its next run, and stage outputs that only these jobs kept when every job
    that may have found them has ended.

    Parameters
    ----------
    released_age_seconds : age to give the last use of these outputs, `Settings.released_artifact_age_seconds`
    """
    keys = _kept_artifacts(session, job_ids)
    session.execute(delete(Result).where(Result.job_id.in_(job_ids)))  # before the libraries, which results name
    session.execute(delete(ConceptLibrary).where(ConceptLibrary.job_id.in_(job_ids)))
    session.execute(delete(Job).where(Job.id.in_(job_ids)).execution_options(synchronize_session=False))
    _release(session, keys, released_age_seconds)


def delete_library(session: Session, library: ConceptLibrary, released_age_seconds: float) -> None:
    """Delete the locked concept library of a finished job, with its predictors, posted images, and share links of concepts and images.

    The job keeps its report, curves and figures. Garbage collection deletes the content as for `delete_jobs`.
    """
    job_id = library.job_id
    keys = _kept_artifacts(session, [job_id])
    session.execute(update(Result).where(Result.library_id == library.id).values(library_id=None))
    for table in (Predictor, PostedImage):
        session.execute(delete(table).where(table.job_id == job_id))
    session.execute(delete(Share).where(Share.job_id == job_id, Share.kind.in_(("concept", "image"))))
    session.execute(delete(ConceptLibrary).where(ConceptLibrary.id == library.id).execution_options(synchronize_session=False))
    _release(session, keys, released_age_seconds)


def _release(session: Session, keys: Sequence[tuple[str, str]], age_seconds: float) -> None:
    """Give the last use of stage outputs an age, unless it is older."""
    if keys:
        used_at = datetime.now(UTC) - timedelta(seconds=age_seconds)
        whole_key = tuple_(StageArtifact.owner_id, StageArtifact.key)
        released = update(StageArtifact).where(whole_key.in_(keys), StageArtifact.used_at > used_at)
        session.execute(released.values(used_at=used_at).execution_options(synchronize_session=False))


def _kept_artifacts(session: Session, job_ids: Sequence[str]) -> list[tuple[str, str]]:
    """(owner, key) of the stage outputs that results of these jobs keep from expiry, in the order of their keys, against deadlocks."""
    keys: set[tuple[str, str]] = set()
    heads = (Predictor.owner_id, Predictor.predictors_key, Predictor.tested_key)
    for owner_id, predictors, tested in session.execute(select(*heads).where(Predictor.job_id.in_(job_ids)).distinct()):
        keys |= {(owner_id, predictors), (owner_id, tested)}
    libraries = select(ConceptLibrary.owner_id, ConceptLibrary.artifact_key).where(ConceptLibrary.job_id.in_(job_ids))
    keys |= {(row[0], row[1]) for row in session.execute(libraries)}
    return sorted(keys)


def _references(job_id: Any) -> tuple[tuple[ReferrerKind, Select[Any]], ...]:
    """SELECTs of ids: studies, explaining jobs, jobs with a result on a library of the job, and unfinished jobs that ask for one."""
    explaining, asking = aliased(Job), aliased(Job)
    cells = select(StudyCell.study_id).where(StudyCell.job_id == job_id)
    explanations = select(explaining.id).where(explaining.kind == "explain", explaining.spec["job"].astext == job_id)
    own_libraries = ConceptLibrary.job_id == job_id
    results = (
        select(Result.job_id).join(ConceptLibrary, ConceptLibrary.id == Result.library_id).where(own_libraries, Result.job_id != job_id)
    )
    named = asking.spec["library"]["id"].astext == ConceptLibrary.id
    unfinished = asking.state.in_(("queued", "running", "canceling"))
    asked = select(asking.id).join(ConceptLibrary, named).where(own_libraries, asking.owner_id == ConceptLibrary.owner_id, unfinished)
    return ("study", cells), ("explanation", explanations), ("library", results), ("library", asked)
