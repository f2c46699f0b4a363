"""Order in which workers take queued jobs: owners in turn, and a job's place in it. `app.db.transitions.claim` takes one.

Every statement reads only entries of the indexes `ix_jobs_queued` and `ix_jobs_queued_wants`: one to three for each owner with queued jobs,
however many jobs these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import ColumnElement, Integer, exists, func, literal_column, or_, select, text
from sqlalchemy.orm import QueryableAttribute, Session

from app.db.models import Job, Worker
from app.db.tables.job_tables import IS_NO_VALIDATION, JOB_WANTS, QUEUED

WorkerKind = Literal["cpu", "gpu"]

# Each owner with queued jobs, by a loose index scan: https://wiki.postgresql.org/wiki/Loose_indexscan
WAITING = """
    WITH RECURSIVE waiting AS (
        (SELECT owner_id FROM jobs WHERE state = 'queued' ORDER BY owner_id LIMIT 1)
        UNION ALL
        SELECT (SELECT owner_id FROM jobs WHERE state = 'queued' AND owner_id > waiting.owner_id ORDER BY owner_id LIMIT 1)
        FROM waiting WHERE waiting.owner_id IS NOT NULL
    )
"""
# The first job of each owner, of any kind, and the owner's latest claim.
WAITING_OWNERS = f"""
    {WAITING}, turns AS (
        SELECT waiting.owner_id, first.id, latest.claimed_at, first.queued_at
        FROM waiting
        CROSS JOIN LATERAL (
            SELECT id, queued_at FROM jobs WHERE state = 'queued' AND owner_id = waiting.owner_id
            ORDER BY left(kind, 6) <> 'check_', queued_at, id LIMIT 1
        ) AS first
        CROSS JOIN LATERAL (SELECT max(claimed_at) AS claimed_at FROM jobs WHERE owner_id = waiting.owner_id) AS latest
    )
"""  # noqa: S608 (constants alone)
# The same of the jobs that a worker of a kind takes: those that want this kind or any, and those that want one that no worker alive has.
NEXT_QUEUED = text(
    f"""
    {WAITING}, taken AS (
        SELECT kind FROM (VALUES ('any'), ('cpu'), ('gpu')) AS kinds (kind)
        WHERE kind IN ('any', :kind)
        OR NOT EXISTS (SELECT FROM workers WHERE workers.kind = kinds.kind AND alive_until > clock_timestamp())
    ), turns AS (
        SELECT waiting.owner_id, first.id, latest.claimed_at, first.queued_at
        FROM waiting
        CROSS JOIN LATERAL (
            SELECT found.id, found.queued_at
            FROM taken
            CROSS JOIN LATERAL (
                SELECT id, queued_at, left(jobs.kind, 6) <> 'check_' AS is_no_validation FROM jobs
                WHERE state = 'queued' AND owner_id = waiting.owner_id AND {JOB_WANTS.replace("kind", "jobs.kind")} = taken.kind
                ORDER BY left(jobs.kind, 6) <> 'check_', queued_at, id LIMIT 1
            ) AS found
            ORDER BY found.is_no_validation, found.queued_at, found.id LIMIT 1
        ) AS first
        CROSS JOIN LATERAL (SELECT max(claimed_at) AS claimed_at FROM jobs WHERE owner_id = waiting.owner_id) AS latest
    )
    SELECT id FROM turns ORDER BY claimed_at NULLS FIRST, queued_at, id LIMIT 1
    """  # noqa: S608 (constants alone)
)
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


def next_queued_job(session: Session, kind: WorkerKind = "cpu") -> str | None:
    """Id of the job that a worker of this kind runs next, or None when it takes none of those that are queued.

    A job that wants a GPU waits for a worker with one while there is such a worker, and one that wants none leaves it to others while there
    is a worker without. Where all workers are of one kind, they take all jobs.

    Jobs of every kind take turns by owner, validations included: the next owner is the one whose latest claim is oldest, so that no
    owner waits for another's study or registrations. Validations of one owner precede its other jobs, since they are short and clients
    wait for them; otherwise the oldest job is first.
    """
    return session.scalar(NEXT_QUEUED, {"kind": kind})


def takes(wants: QueryableAttribute[str | None], kind: WorkerKind) -> ColumnElement[bool]:
    """SQL condition: a worker of this kind takes what wants a kind, as `next_queued_job` does."""
    alive = exists().where(Worker.kind == wants, Worker.alive_until > func.clock_timestamp())
    return or_(wants.is_(None), wants == kind, ~alive)


def queued_jobs(session: Session, limit: int) -> Sequence[str]:
    """Ids of up to `limit` queued jobs, in no useful order."""
    in_index_order = (Job.owner_id, text(IS_NO_VALIDATION), Job.queued_at, Job.id)
    return session.scalars(select(Job.id).where(text(QUEUED)).order_by(*in_index_order).limit(limit)).all()
