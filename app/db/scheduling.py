"""Order in which workers take queued jobs. `app.db.transitions.claim` takes one."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from app.db.models import INTERNAL_JOB_KINDS, Job


def queued_jobs(session: Session, limit: int) -> Sequence[str]:
    """Ids of queued jobs in the order in which they are to run.

    Validation jobs come first: they are short, and clients wait for them. Then round-robin over owners, starting with the owner whose
    latest claim is oldest, so that no owner waits for another's whole study; jobs of one owner run oldest first.
    """
    is_long = Job.kind.not_in(INTERNAL_JOB_KINDS)
    rank = func.row_number().over(partition_by=(Job.owner_id, is_long), order_by=(Job.queued_at, Job.id))
    waiting = (
        select(Job.id, Job.owner_id, is_long.label("is_long"), rank.label("rank"), Job.queued_at).where(Job.state == "queued").subquery()
    )
    owners = select(waiting.columns.owner_id).distinct().subquery()
    claimed = aliased(Job)
    latest = select(func.max(claimed.claimed_at)).where(claimed.owner_id == owners.columns.owner_id).scalar_subquery()
    latest_claims = select(owners.columns.owner_id, latest.label("latest")).subquery()
    statement = (
        select(waiting.columns.id)
        .join(latest_claims, latest_claims.columns.owner_id == waiting.columns.owner_id)
        .order_by(
            waiting.columns.is_long,
            waiting.columns.rank,
            latest_claims.columns.latest.nulls_first(),
            waiting.columns.queued_at,
            waiting.columns.id,
        )
    )
    return session.scalars(statement.limit(limit)).all()
