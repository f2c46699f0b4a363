"""Retention periods of owners, and deletion of rows that have exceeded them. Workers run it during maintenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, delete, exists, func, or_, select, text, update
from sqlalchemy.orm import Session

from app.db.deletion.job_deletion import delete_jobs, is_needed, lock_jobs, lock_planning
from app.db.models import (
    INTERNAL_JOB_KINDS,
    ApiKey,
    Base,
    ConceptSet,
    ConceptSetVersion,
    Dataset,
    Job,
    JobEvent,
    Model,
    Owner,
    Share,
    Study,
    StudyCell,
)
from app.settings import Settings

PERIODS = ("results", "failed_jobs", "events", "deleted")
COLUMNS = {name: getattr(Owner, f"retention_{name}_days") for name in PERIODS}
BATCH_ROWS = 500  # per transaction
BATCH_EVENTS = 5000
NO_STATE = "job_events.type <> 'state'"  # in the words of the index ix_job_events_expiring


@dataclass(frozen=True)
class Expired:
    """Number of rows deleted of each kind."""

    events: int
    studies: int
    jobs: int
    deleted: int  # models, data sets, concept sets, API keys and share links

    @property
    def any(self) -> bool:
        return bool(self.events or self.studies or self.jobs or self.deleted)


def expire(session: Session, settings: Settings) -> Expired:
    """Delete what has exceeded its owner's retention period, in small transactions. Commits.

    Studies precede their jobs, and jobs the deleted models, data sets and concept sets that they name.
    """
    return Expired(
        _expire_events(session, settings),
        _expire_studies(session, settings),
        _expire_jobs(session, settings),
        sum(_expire_deleted(session, settings, table) for table in (Model, Dataset, ConceptSet))
        + _expire_keys(session, settings)
        + _expire_shares(session, settings),
    )


def periods_of(session: Session, owner_id: str, settings: Settings) -> dict[str, int | None]:
    """Days by name of the period; None where nothing expires."""
    row = session.execute(select(*(_period(name, settings) for name in PERIODS)).where(Owner.id == owner_id)).one()
    return dict(zip(PERIODS, row, strict=True))


def overrides_of(session: Session, owner_id: str) -> dict[str, int | None]:
    """The owner's own periods; null where the default holds."""
    row = session.execute(select(*COLUMNS.values()).where(Owner.id == owner_id)).one()
    return dict(zip(PERIODS, row, strict=True))


def set_overrides(session: Session, owner_id: str, days: Mapping[str, int | None]) -> bool:
    """Set periods of an owner by name, null for the default; False where there is no such owner."""
    columns = {f"retention_{name}_days": period for name, period in days.items()}
    statement = update(Owner).where(Owner.id == owner_id).values(**columns).returning(Owner.id)
    return session.scalar(statement.execution_options(synchronize_session=False)) is not None


def _expire_events(session: Session, settings: Settings) -> int:
    shortest = _shortest_days(session, settings, "events")
    if shortest is None:
        return 0
    expired = (
        select(JobEvent.id)
        .join(Job, Job.id == JobEvent.job_id)
        .join(Owner, Owner.id == Job.owner_id)
        .where(text(NO_STATE), JobEvent.created_at < _days_ago(shortest), Job.finished_at < _days_ago(_period("events", settings)))
        .limit(BATCH_EVENTS)
    )
    gone = 0
    while count := len(session.scalars(delete(JobEvent).where(JobEvent.id.in_(expired)).returning(JobEvent.id)).all()):
        session.commit()
        gone += count
    session.rollback()
    return gone


def _expire_studies(session: Session, settings: Settings) -> int:
    """Delete studies whose last change and all jobs are older than the period for results."""
    oldest = _days_ago(_period("results", settings))
    younger = (
        select(StudyCell.number)
        .join(Job, Job.id == StudyCell.job_id)
        .where(StudyCell.study_id == Study.id, or_(Job.finished_at.is_(None), Job.finished_at >= oldest))
        .correlate(Study, Owner)
    )
    expired = (
        select(Study.id)
        .join(Owner, Owner.id == Study.owner_id)
        .where(func.coalesce(Study.extended_at, Study.created_at) < oldest, ~younger.exists())
        .limit(BATCH_ROWS)
        .with_for_update(of=Study, skip_locked=True)
    )
    gone = 0
    while ids := session.scalars(expired).all():
        session.execute(delete(Study).where(Study.id.in_(ids)))
        session.commit()
        gone += len(ids)
    session.rollback()
    return gone


def _expire_jobs(session: Session, settings: Settings) -> int:
    """Delete finished jobs beyond their period that no study, explanation or other job needs. Explanations precede what they explain."""
    by_state = case(
        ((Job.state == "succeeded") & Job.kind.not_in(INTERNAL_JOB_KINDS), _period("results", settings)),
        else_=_period("failed_jobs", settings),
    )
    shortest = [days for name in ("results", "failed_jobs") if (days := _shortest_days(session, settings, name)) is not None]
    if not shortest:
        session.rollback()
        return 0
    expired = (
        select(Job.owner_id, Job.id)
        .join(Owner, Owner.id == Job.owner_id)
        .where(Job.finished_at < _days_ago(min(shortest)), Job.finished_at < _days_ago(by_state), ~is_needed())
        .order_by(Job.owner_id, Job.id)
        .limit(BATCH_ROWS)
    )
    gone = 0
    while rows := session.execute(expired).all():
        session.rollback()
        for owner_id in dict.fromkeys(row[0] for row in rows):
            gone += _delete_unneeded(session, owner_id, [row[1] for row in rows if row[0] == owner_id], settings)
    session.rollback()
    return gone


def _delete_unneeded(session: Session, owner_id: str, job_ids: Sequence[str], settings: Settings) -> int:
    """Lock jobs of one owner, and delete those that nothing needs since. Commits."""
    lock_planning(session, owner_id)
    lock_jobs(session, job_ids)
    # A separate statement: it sees what was committed before this transaction got the locks.
    unneeded = session.scalars(select(Job.id).where(Job.id.in_(job_ids), ~is_needed())).all()
    delete_jobs(session, unneeded, settings.released_artifact_age_seconds)
    session.commit()
    return len(unneeded)


def _expire_deleted(session: Session, settings: Settings, table: type[Model] | type[Dataset] | type[ConceptSet]) -> int:
    """Remove rows that their owner deleted longer ago than the period and that no other row names."""
    expired = (
        select(table.id)
        .join(Owner, Owner.id == table.owner_id)
        .where(table.deleted_at < _days_ago(_period("deleted", settings)), ~_is_named(table))
        .limit(BATCH_ROWS)
        .with_for_update(of=table, skip_locked=True)
    )
    gone = 0
    while ids := session.scalars(expired).all():
        # A separate statement: it sees what was committed before this transaction got the locks.
        unnamed = session.scalars(select(table.id).where(table.id.in_(ids), ~_is_named(table))).all()
        if table is ConceptSet:
            session.execute(delete(ConceptSetVersion).where(ConceptSetVersion.concept_set_id.in_(unnamed)))
        session.execute(delete(table).where(table.id.in_(unnamed)).execution_options(synchronize_session=False))
        session.commit()
        gone += len(unnamed)
        if not unnamed:
            break
    session.rollback()
    return gone


def _expire_keys(session: Session, settings: Settings) -> int:
    """Remove keys that were revoked or expired longer ago than the period."""
    oldest = _days_ago(_period("deleted", settings))
    ended = select(ApiKey.id).join(Owner, Owner.id == ApiKey.owner_id).where(or_(ApiKey.revoked_at < oldest, ApiKey.expires_at < oldest))
    gone = session.scalars(delete(ApiKey).where(ApiKey.id.in_(ended)).returning(ApiKey.id)).all()
    session.commit()
    return len(gone)


def _expire_shares(session: Session, settings: Settings) -> int:
    """Remove share links that expired longer ago than the period."""
    ended = select(Share.id).join(Owner, Owner.id == Share.owner_id).where(Share.expires_at < _days_ago(_period("deleted", settings)))
    gone = session.scalars(delete(Share).where(Share.id.in_(ended)).returning(Share.id)).all()
    session.commit()
    return len(gone)


def _is_named(table: type[Model] | type[Dataset] | type[ConceptSet]) -> ColumnElement[bool]:
    """SQL condition: whether a foreign key refers to the row; the versions of a concept set are part of it."""
    target = f"{table.__tablename__}.id"
    columns = [
        column
        for other in Base.metadata.tables.values()
        if not (table is ConceptSet and other is ConceptSetVersion.__table__)
        for column in other.columns
        if any(key.target_fullname == target for key in column.foreign_keys)
    ]
    return or_(*(exists().where(column == table.id) for column in columns))


def _shortest_days(session: Session, settings: Settings, name: str) -> int | None:
    """The shortest period of any owner, by which an index finds candidates; None where nothing expires."""
    return session.scalar(select(func.min(_period(name, settings))))


def _period(name: str, settings: Settings) -> ColumnElement[Any]:
    """SQL: the owner's period in days, or the default; null where nothing expires."""
    return func.nullif(func.coalesce(COLUMNS[name], getattr(settings, f"retention_{name}_days")), 0)


def _days_ago(days: int | ColumnElement[Any]) -> ColumnElement[Any]:
    return func.now() - func.make_interval(0, 0, 0, days)
