"""The task entry point: hears the bell and hands over to the runner."""

from __future__ import annotations

import structlog
from celery import Task

from app.queue import RUN_JOB
from worker.celery_app import app, runtime
from worker.jobs.runner import run_queued_jobs

log = structlog.get_logger(__name__)


@app.task(name=RUN_JOB, bind=True)  # pyright: ignore[reportUntypedFunctionDecorator] (Celery ships no types for it)
def run(_: Task[[str], None], job_id: str) -> None:
    """Work until nothing is queued. A message heard twice, late, or for a job that is done does nothing more."""
    log.debug("bell_heard", job_id=job_id)  # whose turn it is, the table says
    run_queued_jobs(runtime())
