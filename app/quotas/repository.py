"""All SQL of quotas: the owner's own limits, and their use. Take the lock before adding anything that counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, Select, and_, exists, func, select, text, update
from sqlalchemy.orm import Session, aliased

from app.db.ids import first_id_at
from app.db.models import INTERNAL_JOB_KINDS, PUBLIC_JOB_KINDS, Job, Owner, Upload
from app.quotas.limits import NAMES

COLUMNS = tuple(getattr(Owner, f"quota_{name}") for name in NAMES)
UNFINISHED = text("jobs.state IN ('queued', 'running', 'canceling')")  # in the words of the index ix_jobs_owner_id_unfinished


class QuotaRepository:
    """Limits and use of one owner."""

    def __init__(self, session: Session, owner_id: str) -> None:
        self.session = session
        self.owner_id = owner_id

    def lock(self, counted: Literal["uploads", "jobs", "validations"]) -> None:
        """Lock the owner's quotas until the commit."""
        lock = func.hashtextextended(f"quota {counted} {self.owner_id}", 0)
        self.session.execute(select(func.pg_advisory_xact_lock(lock)))

    def overrides(self) -> dict[str, int | None]:
        """The owner's own limits; null where the default holds."""
        row = self.session.execute(select(*COLUMNS).where(Owner.id == self.owner_id)).one()
        return dict(zip(NAMES, row, strict=True))

    def stored_bytes(self) -> int:
        """Bytes of complete uploads, each content once, and what open uploads of other content have declared."""
        owned = Upload.owner_id == self.owner_id
        complete = select(Upload.sha256, Upload.size_bytes).where(owned, Upload.state == "complete").distinct().subquery()
        kept = select(func.coalesce(func.sum(complete.columns.size_bytes), 0)).scalar_subquery()
        same = aliased(Upload)
        there = exists().where(same.owner_id == self.owner_id, same.sha256 == Upload.sha256, same.state == "complete")
        declared = select(func.coalesce(func.sum(Upload.size_bytes), 0)).where(owned, Upload.state == "open", ~there).scalar_subquery()
        return int(self.session.scalar(select(kept + declared)) or 0)

    def open_uploads(self) -> int:
        """Number of open uploads."""
        return self._count(select(func.count()).where(Upload.owner_id == self.owner_id, Upload.state == "open"))

    def unfinished_jobs(self) -> int:
        """Number of unfinished public jobs, those of studies included."""
        return self._count(select(func.count(Job.id)).where(self._public(), UNFINISHED))

    def pending_validations(self) -> int:
        """Number of unfinished validations of models, data sets and versions of concept sets."""
        return self._count(select(func.count(Job.id)).where(Job.owner_id == self.owner_id, Job.kind.in_(INTERNAL_JOB_KINDS), UNFINISHED))

    def jobs_since(self, moment: datetime) -> int:
        """Number of public jobs since then, by their ids, which sort by time."""
        return self._count(select(func.count(Job.id)).where(self._public(), Job.id >= first_id_at("job", moment)))

    def nth_job_since(self, moment: datetime, number: int) -> datetime | None:
        """The time of the job with that number (0, 1, 2 …) among these."""
        made = select(Job.created_at).where(self._public(), Job.id >= first_id_at("job", moment))
        return self.session.scalar(made.order_by(Job.id).offset(number).limit(1))

    def _public(self) -> ColumnElement[bool]:
        return and_(Job.owner_id == self.owner_id, Job.kind.in_(PUBLIC_JOB_KINDS))

    def _count(self, statement: Select[int]) -> int:
        return self.session.scalar(statement) or 0


def all_owners(session: Session) -> Sequence[Owner]:
    """All owners, oldest first; for operators."""
    return session.scalars(select(Owner).order_by(Owner.created_at, Owner.id)).all()


def set_overrides(session: Session, owner_id: str, limits: Mapping[str, int | None]) -> bool:
    """Set limits of an owner by name, null for the default; False where there is no such owner."""
    columns = {f"quota_{name}": limit for name, limit in limits.items()}
    statement = update(Owner).where(Owner.id == owner_id).values(**columns).returning(Owner.id)
    return session.scalar(statement.execution_options(synchronize_session=False)) is not None
