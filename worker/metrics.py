"""Prometheus metrics of the worker."""

from __future__ import annotations

from prometheus_client import Counter, Histogram, start_http_server

STAGE_SECONDS = Histogram(
    "iis_worker_stage_seconds",
    "Duration of a stage; reused stages are not counted.",
    ["stage"],
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 14400),
)
STAGES_REUSED = Counter("iis_worker_stages_reused", "Stages whose outputs were already stored.", ["stage"])
TASKS_ENDED = Counter("iis_worker_tasks_ended", "Attempts at tasks of a divided stage, by how they ended.", ["stage", "end"])
TASK_SECONDS = Histogram(
    "iis_worker_task_seconds",
    "Duration of a task of a divided stage that was done.",
    ["stage"],
    buckets=(1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 900),
)
QUERY_SECONDS = Histogram(
    "iis_worker_query_seconds",
    "Duration of a query about a scored job or a study.",
    ["kind"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
JOBS_ENDED = Counter("iis_worker_jobs_ended", "Attempts at jobs, by how they ended.", ["kind", "end"])
WEBHOOK_ATTEMPTS = Counter("iis_worker_webhook_attempts", "Attempts at webhook deliveries, by how they ended.", ["end"])


def serve_metrics(port: int | None) -> None:
    """Serve the metrics on `port` of every interface; None serves nothing."""
    if port is not None:
        start_http_server(port)
