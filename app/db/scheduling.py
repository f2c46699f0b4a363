"""Order in which workers take queued jobs: owners in turn, and a job's place in it. `app.db.transitions.claim` takes one.

Every statement reads only entries of the index `ix_jobs_queued`: one for each owner with queued jobs, however many jobs these are.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Integer, literal_column, select, text
from sqlalchemy.orm import Session

from app.db.models import IS_NO_VALIDATION, QUEUED, Job

# Each owner with queued jobs, its first one, and its latest claim, in the words of the index. `waiting` is a loose index scan:
# https://wiki.postgresql.org/wiki/Loose_indexscan
WAITING_OWNERS = """
    WITH RECURSIVE waiting AS (
        (SELECT owner_id FROM jobs WHERE state = 'queued' ORDER BY owner_id LIMIT 1)
        UNION ALL
        SELECT (SELECT owner_id FROM jobs WHERE state = 'queued' AND owner_id > waiting.owner_id ORDER BY owner_id LIMIT 1)
        FROM waiting WHERE waiting.owner_id IS NOT NULL
    ), turns AS (
        SELECT waiting.owner_id, first.id, latest.claimed_at, first.queued_at
        FROM waiting
        CROSS JOIN LATERAL (
            SELECT id, queued_at FROM jobs WHERE state = 'queued' AND owner_id = waiting.owner_id
            ORDER BY left(kind, 6) <> 'check_', queued_at, id LIMIT 1
        ) AS first
        CROSS JOIN LATERAL (SELECT max(claimed_at) AS claimed_at FROM jobs WHERE owner_id = waiting.owner_id) AS latest
    )
"""
NEXT_QUEUED = text(WAITING_OWNERS + "SELECT id FROM turns ORDER BY claimed_at NULLS FIRST, queued_at, id LIMIT 1")  # noqa: S608
POSITION_MAX = 1000
QUEUE_POSITION = literal_column(
    f"""
    CASE WHEN jobs.state = 'queued' THEN ({WAITING_OWNERS}, numbered AS (
        SELECT owner_id, row_number() OVER (ORDER BY claimed_at NULLS FIRST, queued_at, id) AS turn FROM turns
    ), ahead AS (
        SELECT count(*) AS own FROM (
            SELECT FROM jobs AS earlier WHERE earlier.state = 'queued' AND earlier.owner_id = jobs.owner_id
            AND (left(earlier.kind, 6) <> 'check_', earlier.queued_at, earlier.id) < (true, jobs.queued_at, jobs.id)
            LIMIT {POSITION_MAX}
        ) AS of_owner
    )
    SELECT CASE WHEN ahead.own < {POSITION_MAX} THEN 1 + ahead.own + coalesce(sum(taken.before), 0) END
    FROM ahead
    JOIN numbered AS mine ON mine.owner_id = jobs.owner_id
    LEFT JOIN numbered AS other ON other.owner_id <> mine.owner_id
    LEFT JOIN LATERAL (
        SELECT count(*) AS before FROM (
            SELECT FROM jobs AS theirs WHERE theirs.state = 'queued' AND theirs.owner_id = other.owner_id
            LIMIT ahead.own + (other.turn < mine.turn)::int
        ) AS of_other
    ) AS taken ON true
    GROUP BY ahead.own)::int END
    """,  # noqa: S608 (constants alone)
    Integer,
)
"""Place of a public job of the enclosing statement in the order of `next_queued_job`, 1 where it is next.

It counts the jobs that are queued now, at most as many of each other owner as get a turn before. Null unless queued, and after
`POSITION_MAX` of the owner's own jobs.
"""


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
