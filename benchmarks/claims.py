"""Time of claiming a job with many queued, in a transaction that is rolled back, so that no worker sees the rows."""

from __future__ import annotations

from time import perf_counter

import numpy as np
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from app.db.scheduling import next_queued_job
from app.db.session import psycopg_url
from app.db.transitions import claim

OWNERS = 20
CLAIMS = 200
QUEUED = (1_000, 1_000_000)
INSERT_OWNERS = text(
    "INSERT INTO owners (id, name) SELECT 'own_' || number, 'an owner' FROM generate_series(1, CAST(:owners AS int)) AS number"
)
INSERT_JOBS = text(
    """
    INSERT INTO jobs (id, owner_id, kind, spec, state, attempt, deadline_seconds, queued_at)
    SELECT 'job_' || number, 'own_' || (1 + number % CAST(:owners AS int)), 'score', '{}', 'queued', 0, 60, now()
    FROM generate_series(1, CAST(:queued AS int)) AS number
    """
)


def measure_claims(database_url: str) -> None:
    """Print the time of a claim for each number of queued jobs."""
    engine = create_engine(psycopg_url(database_url))
    try:
        for queued in QUEUED:
            with Session(engine) as session:
                milliseconds = 1000 * claim_seconds(session, queued)
                session.rollback()
            fields = {"owners": OWNERS, "claims": CLAIMS, "p50_ms": f"{np.median(milliseconds):.2f}", "max_ms": f"{milliseconds.max():.2f}"}
            print(f"BENCH claim_{queued}_queued", *(f"{name}={value}" for name, value in fields.items()), flush=True)
    finally:
        engine.dispose()


def claim_seconds(session: Session, queued: int) -> np.ndarray:
    """Seconds of each of `CLAIMS` claims, (CLAIMS,) float64; leaves the rows in the session's transaction."""
    session.execute(INSERT_OWNERS, {"owners": OWNERS})
    session.execute(INSERT_JOBS, {"owners": OWNERS, "queued": queued})
    session.execute(text("ANALYZE jobs"))
    seconds = list[float]()
    for _ in range(CLAIMS):
        began = perf_counter()
        job_id = next_queued_job(session)
        if job_id is None or claim(session, job_id, "the benchmark", 60) is None:
            raise RuntimeError("No queued job was found.")
        seconds.append(perf_counter() - began)
    return np.array(seconds)
