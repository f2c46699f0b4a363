"""Latency of lists, leaderboards, studies and polls over HTTP with 100,000 jobs of four owners in PostgreSQL.

`python -m benchmarks.many_jobs [--jobs 100000] [--repeats 100]` starts its own stack in a temporary folder, fills its database by SQL
(about half a gigabyte) and asks for one page after another. Half of the jobs are the owner's who asks.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import httpx
import numpy as np
import psycopg
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from app.db.lists.job_summaries import summarise_earlier
from app.db.session import psycopg_url
from app.local.servers import EmbeddedPostgres
from benchmarks.filled_database import Filled, fill
from benchmarks.service import DATABASE_NAME, SERVERS
from benchmarks.timing import exit_on_signals, machine, timed
from iis_client.cli.local.local_stack import LocalStack

WARM_UP = 12  # requests: prepared statements get their final plans


def main() -> None:
    """Start the stack, fill it, measure, stop it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_jobs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=100)
    options = parser.parse_args()
    exit_on_signals()
    for name in SERVERS:
        os.environ.pop(name, None)
    os.environ["IIS_RATE_LIMIT_PER_SECOND"] = "0"
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="iis-bench-") as folder:
        stack = LocalStack(Path(folder) / "service")
        try:
            address = stack.wait_until_ready()
            url = EmbeddedPostgres(stack.folder / "postgres").url(DATABASE_NAME)
            filled = prepare(url, options.jobs)
            with httpx.Client(base_url=address.url, headers={"Authorization": f"Bearer {address.api_key}"}, timeout=60) as client:
                for name, path in pages(filled).items():
                    measure(client, name, path, options.repeats)
        finally:
            stack.stop()


def prepare(database_url: str, jobs: int) -> Filled:
    """Fill the database, write the summaries as workers do, and collect statistics."""
    plain = database_url.replace("+psycopg", "")
    filled = fill(plain, jobs)
    engine = create_engine(psycopg_url(database_url))
    with Session(engine) as session:
        summarise_earlier(session)  # the worker of the stack has perhaps begun
    engine.dispose()
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return filled


def pages(filled: Filled) -> dict[str, str]:
    """Addresses by the name of their line."""
    jobs, study = "/v1/jobs", f"/v1/studies/{filled.study}"
    return {
        "jobs": jobs,
        "jobs_after_half": f"{jobs}?after={filled.job}",
        "jobs_by_iis": f"{jobs}?sort=-iis",
        "jobs_of_state": f"{jobs}?state=failed",
        "jobs_of_kind": f"{jobs}?kind=explain",
        "jobs_of_model": f"{jobs}?model={filled.model}",
        "jobs_of_dataset": f"{jobs}?dataset={filled.dataset}",
        "jobs_named_often": f"{jobs}?name_contains=sweep",
        "jobs_named_once": f"{jobs}?name_contains=needle",
        "jobs_named_never": f"{jobs}?name_contains=haystack",
        "jobs_of_model_name": f"{jobs}?name_contains=epoch%2017",
        "jobs_tagged": f"{jobs}?tag=rare",
        "jobs_with_metadata": f"{jobs}?metadata=team:a",
        "models_by_name": "/v1/models?sort=name",
        "leaderboard": "/v1/leaderboard",
        "studies": "/v1/studies",
        "study": study,
        "study_cells": f"{study}/cells",
        "study_table": f"{study}/table",
        "poll": f"{jobs}/{filled.job}",
    }


def measure(client: httpx.Client, name: str, path: str, repeats: int) -> None:
    """Print the latency of a page and the size of its answer, as sent."""
    seconds, size = list[float](), 0
    for number in range(WARM_UP + repeats):
        elapsed, answer = timed(lambda: client.get(path))
        answer.raise_for_status()
        size = answer.num_bytes_downloaded
        if number >= WARM_UP:
            seconds.append(elapsed.wall)
    p50, p99 = (1000 * float(np.percentile(seconds, percent)) for percent in (50, 99))
    print(f"BENCH many_jobs_{name} p50_ms={p50:.1f} p99_ms={p99:.1f} bytes={size}", flush=True)


if __name__ == "__main__":
    main()
