"""Quotas: refuse what exceeds a limit, under a lock until the commit."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from app.errors import QuotaExceeded
from app.quotas.limits import Quotas
from app.quotas.repository import QuotaRepository
from app.settings import Settings

DAY = timedelta(days=1)
OPERATOR = "ask the operator for more"
VALIDATION_RETRY_SECONDS = 10


def quotas_of(session: Session, owner_id: str, settings: Settings) -> Quotas:
    """The limits of an owner."""
    return Quotas.of(settings, QuotaRepository(session, owner_id).overrides())


def require_room_for_upload(session: Session, owner_id: str, size_bytes: int, settings: Settings, *, parts_to_come: bool) -> None:
    """Refuse an upload of new content that exceeds a quota; otherwise reserve its bytes until the commit.

    Raises
    ------
    QuotaExceeded
    """
    quotas = quotas_of(session, owner_id, settings)
    used = QuotaRepository(session, owner_id)
    if quotas.stored_bytes is None and (quotas.open_uploads is None or not parts_to_come):
        return
    used.lock("uploads")
    if parts_to_come and quotas.open_uploads is not None and (count := used.open_uploads()) >= quotas.open_uploads:
        raise QuotaExceeded(
            f"You have {count} open uploads, and your quota is {quotas.open_uploads}; complete some or delete those you do not need."
        )
    _require_bytes(used, quotas, size_bytes)


def require_bytes(session: Session, owner_id: str, size_bytes: int, settings: Settings) -> None:
    """Refuse content that would exceed the quota before it is stored; reserves nothing.

    Raises
    ------
    QuotaExceeded
    """
    _require_bytes(QuotaRepository(session, owner_id), quotas_of(session, owner_id, settings), size_bytes)


def require_room_for_jobs(session: Session, owner_id: str, count: int, settings: Settings) -> None:
    """Refuse `count` new jobs that exceed a quota; otherwise reserve them until the commit.

    Raises
    ------
    QuotaExceeded
    """
    quotas = quotas_of(session, owner_id, settings)
    if not count or (quotas.unfinished_jobs is None and quotas.jobs_per_day is None):
        return
    used = QuotaRepository(session, owner_id)
    used.lock("jobs")
    asked = "one more" if count == 1 else f"{count} more"
    if quotas.unfinished_jobs is not None and (waiting := used.unfinished_jobs()) + count > quotas.unfinished_jobs:
        raise QuotaExceeded(
            f"You have {waiting} unfinished jobs and ask for {asked}, but your quota is {quotas.unfinished_jobs} at once;"
            f" wait until some have finished or cancel some, ask for fewer, or {OPERATOR}."
        )
    yesterday = datetime.now(UTC) - DAY
    if quotas.jobs_per_day is not None and (made := used.jobs_since(yesterday)) + count > quotas.jobs_per_day:
        raise QuotaExceeded(
            f"You made {made} jobs in the last 24 hours and ask for {asked}, but your quota is {quotas.jobs_per_day} in 24 hours;"
            f" ask for fewer, try again later, or {OPERATOR}.",
            retry_after_seconds=_room_in_seconds(used, yesterday, made + count - quotas.jobs_per_day),
        )


def require_room_for_validation(session: Session, owner_id: str, settings: Settings) -> None:
    """Refuse a new model, data set or version of a concept set that exceeds the quota of pending ones; otherwise reserve it.

    Raises
    ------
    QuotaExceeded
    """
    quota = quotas_of(session, owner_id, settings).pending_validations
    if quota is None:
        return
    used = QuotaRepository(session, owner_id)
    used.lock("validations")
    if (pending := used.pending_validations()) >= quota:
        raise QuotaExceeded(
            f"You have {pending} pending models, data sets and concept sets, and your quota is {quota}; wait until some are ready, or"
            " delete some.",
            retry_after_seconds=VALIDATION_RETRY_SECONDS,
        )


def _require_bytes(used: QuotaRepository, quotas: Quotas, size_bytes: int) -> None:
    if quotas.stored_bytes is not None and (stored := used.stored_bytes()) + size_bytes > quotas.stored_bytes:
        raise QuotaExceeded(
            f"You store {stored} bytes, what open uploads have declared included, and send {size_bytes} more, but your quota is"
            f" {quotas.stored_bytes}; delete uploads, models and data sets that you do not need, or {OPERATOR}."
        )


def _room_in_seconds(used: QuotaRepository, yesterday: datetime, too_many: int) -> int | None:
    """The time when enough jobs will be older than a day; None where too few were made in the day."""
    last = used.nth_job_since(yesterday, too_many - 1)
    return None if last is None else max(1, math.ceil((last - yesterday).total_seconds()))
