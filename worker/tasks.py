"""Celery task: on a wake-up message, run queued jobs until none is left."""

from __future__ import annotations

import structlog
from celery import Task

from app.queue import QUEUE, RUN_JOB
from worker.celery_app import app, runtime
from worker.jobs.runner import run_queued_jobs
from worker.presence import wake_other_kind

log = structlog.get_logger(__name__)


@app.task(name=RUN_JOB, bind=True)  # pyright: ignore[reportUntypedFunctionDecorator] (Celery ships no types for it)
def run(task: Task[[str], None], job_id: str) -> None:
    """Run queued jobs until none is left. A duplicate or late message, or one for a finished job, has no further effect."""
    log.debug("wake_up_received", job_id=job_id)  # the jobs table decides which job runs next
    run_queued_jobs(runtime())
    if (task.request.delivery_info or {}).get("routing_key") == QUEUE:
        wake_other_kind(runtime())
