"""Whose turn it is: the order in which queued jobs are taken. Taking one is `app.db.transitions.claim`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from app.db.models import INTERNAL_JOB_KINDS, Job


def queued_jobs(session: Session, limit: int) -> Sequence[str]:
    """Ids of queued jobs in the order of their turns.

    Checks go before everything else, since a person waits for them and they are short. Owners take turns, the one whose last turn is
    longest ago first, so that nobody waits for the whole of another's study; an owner's own jobs go oldest first.
    """
    is_long = Job.kind.not_in(INTERNAL_JOB_KINDS)
    turn = func.row_number().over(partition_by=(Job.owner_id, is_long), order_by=(Job.queued_at, Job.id))
    waiting = (
        select(Job.id, Job.owner_id, is_long.label("is_long"), turn.label("turn"), Job.queued_at).where(Job.state == "queued").subquery()
    )
    owners = select(waiting.columns.owner_id).distinct().subquery()
    served = aliased(Job)
    last = select(func.max(served.claimed_at)).where(served.owner_id == owners.columns.owner_id).scalar_subquery()
    turns = select(owners.columns.owner_id, last.label("last")).subquery()
    statement = (
        select(waiting.columns.id)
        .join(turns, turns.columns.owner_id == waiting.columns.owner_id)
        .order_by(
            waiting.columns.is_long, waiting.columns.turn, turns.columns.last.nulls_first(), waiting.columns.queued_at, waiting.columns.id
        )
    )
    return session.scalars(statement.limit(limit)).all()
