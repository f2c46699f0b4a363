"""Order in which workers take queued jobs: owners in turn. `app.db.transitions.claim` takes one.

Every statement reads only entries of the index `ix_jobs_queued`: one for each owner with queued jobs, however many jobs these are.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.db.models import IS_NO_VALIDATION, QUEUED, Job

# In the words of the index. `waiting` is a loose index scan: https://wiki.postgresql.org/wiki/Loose_indexscan
NEXT_QUEUED = text(
    """
    WITH RECURSIVE waiting AS (
        (SELECT owner_id FROM jobs WHERE state = 'queued' ORDER BY owner_id LIMIT 1)
        UNION ALL
        SELECT (SELECT owner_id FROM jobs WHERE state = 'queued' AND owner_id > waiting.owner_id ORDER BY owner_id LIMIT 1)
        FROM waiting WHERE waiting.owner_id IS NOT NULL
    )
    SELECT first.id
    FROM waiting
    CROSS JOIN LATERAL (
        SELECT id, queued_at FROM jobs WHERE state = 'queued' AND owner_id = waiting.owner_id
        ORDER BY left(kind, 6) <> 'check_', queued_at, id LIMIT 1
    ) AS first
    CROSS JOIN LATERAL (SELECT max(claimed_at) AS claimed_at FROM jobs WHERE owner_id = waiting.owner_id) AS latest
    ORDER BY latest.claimed_at NULLS FIRST, first.queued_at, first.id
    LIMIT 1
    """
)


def next_queued_job(session: Session) -> str | None:
    """Id of the job to run next, or None when none is queued.

    Jobs of every kind take turns by owner, validations included: the next owner is the one whose latest claim is oldest, so that no
    owner waits for another's study or registrations. Validations of one owner precede its other jobs, since they are short and clients
    wait for them; otherwise the oldest job is first.
    """
    return session.scalar(NEXT_QUEUED)


def queued_jobs(session: Session, limit: int) -> Sequence[str]:
    """Ids of up to `limit` queued jobs, in no useful order."""
    in_index_order = (Job.owner_id, text(IS_NO_VALIDATION), Job.queued_at, Job.id)
    return session.scalars(select(Job.id).where(text(QUEUED)).order_by(*in_index_order).limit(limit)).all()
