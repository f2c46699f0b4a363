"""Attack `retention`: a database filled with jobs of the past, and the rows, bytes and files that remain after maintenance."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import psycopg
from sqlalchemy import func, select, text, update

from app.db.deletion.retention import set_overrides
from app.db.models import Base, Job, Owner
from support.rows import Rows
from torture.promises import Promise
from torture.stack import Stack
from worker.maintenance.garbage_collector import GarbageCollector

JOBS = 10_000
EVENTS_PER_JOB = 30
SCORED = 20  # jobs with results, libraries and files
REMAINING = frozenset({"owners", "api_keys", "alembic_version"})
"""Tables whose rows do not expire."""


def attack(folder: Path, _seed: int) -> list[Promise]:
    """Fill the database with jobs that ended a year ago, and collect."""
    return run(folder, JOBS, EVENTS_PER_JOB)


def run(folder: Path, jobs: int, events_per_job: int) -> list[Promise]:
    """The attack with so many failed jobs and events, and `SCORED` jobs with results."""
    gone = Promise("After the retention periods nothing is left of jobs, results, studies and deleted models, in database and storage")
    with Stack(folder, workers=0, storage_bytes=None) as stack:
        stack.add_owner("someone")
        _fill(stack, jobs, events_per_job)
        full_rows, full_bytes = _rows(stack), _bytes(stack)
        began = time.monotonic()
        with stack.runtime.sessions() as session:
            set_overrides(session, session.scalars(select(Owner.id)).one(), {"results": 180})
            session.commit()
            GarbageCollector(stack.runtime).collect(session)
        seconds = time.monotonic() - began
        left = {name: count for name, count in _rows(stack).items() if count and name not in REMAINING}
        # Stage outputs stay until jobs that may have found them have ended.
        left.pop("stage_artifacts")
        blobs = left.pop("blobs")
        gone.record(not left, f"These rows are left: {left}.")
        gone.record(blobs == len(_files(stack)), "Rows and files of content differ.")
        with stack.runtime.sessions() as session:
            session.execute(text("UPDATE stage_artifacts SET used_at = used_at - interval '26 hours'"))
            session.commit()
            GarbageCollector(stack.runtime).collect(session)
        gone.record(not _files(stack), f"{len(_files(stack))} files are left.")
        small_bytes = _bytes(stack)
    total = sum(count for name, count in full_rows.items() if name not in REMAINING)
    gone.measured = f"{total:,} rows, {full_bytes >> 20:,} MiB to {small_bytes >> 20:,} MiB; {seconds:.0f} s"
    return [gone]


def _fill(stack: Stack, jobs: int, events_per_job: int) -> None:
    runtime = stack.runtime
    with runtime.sessions() as session:
        owner_id = session.scalars(select(Owner.id)).one()
    rows = Rows(runtime.sessions, runtime.store, owner_id)
    model, dataset = rows.model(), rows.dataset()
    for _ in range(SCORED):
        job_id = rows.job(model, dataset)
        rows.succeed(job_id, rows.claim(job_id))
    with runtime.sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO jobs (id, owner_id, kind, spec, model_id, dataset_id, state, attempt, deadline_seconds, finished_at)"
                " SELECT 'job_' || lpad(n::text, 26, '0'), :owner, 'score', spec, model_id, dataset_id, 'failed', 1, 60, now()"
                " FROM generate_series(1, :jobs) n, (SELECT spec, model_id, dataset_id FROM jobs LIMIT 1) one"
            ),
            {"owner": owner_id, "jobs": jobs},
        )
        session.execute(
            text(
                'INSERT INTO job_events (job_id, type, data) SELECT jobs.id, \'progress\', \'{"stage": "extract", "done": 1, "total": 9}\''
                " FROM jobs, generate_series(1, :events) WHERE state = 'failed'"
            ),
            {"events": events_per_job},
        )
        session.execute(
            text(
                "INSERT INTO studies (id, owner_id, name, grid, created_at)"
                " VALUES ('std_1', :owner, 'old', '{}', now() - interval '1 year')"
            ),
            {"owner": owner_id},
        )
        session.execute(
            text(
                "INSERT INTO study_cells (study_id, number, job_id, created, request_digest, dataset_id, library, concept_count, seed)"
                " SELECT 'std_1', row_number() OVER (), id, true, id, dataset_id, 0, 4, 0 FROM jobs WHERE state = 'failed' LIMIT 10000"
            )
        )
        past = timedelta(days=365)
        session.execute(update(Job).values(finished_at=Job.finished_at - past))
        for statement in (
            "UPDATE job_events SET created_at = created_at - interval '1 year'",
            "UPDATE models SET deleted_at = now() - interval '1 year'",
            "UPDATE datasets SET deleted_at = now() - interval '1 year'",
        ):
            session.execute(text(statement))


def _rows(stack: Stack) -> dict[str, int]:
    with stack.runtime.sessions() as session:
        return {name: session.scalar(select(func.count()).select_from(table)) or 0 for name, table in Base.metadata.tables.items()}


def _bytes(stack: Stack) -> int:
    """Size of the database after VACUUM FULL."""
    with psycopg.connect(stack.postgres.url("iis").replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("VACUUM FULL")
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return row[0] if row is not None else 0


def _files(stack: Stack) -> list[Path]:
    return [path for path in (stack.storage / "sha256").rglob("*") if path.is_file()]
