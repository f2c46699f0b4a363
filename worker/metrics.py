"""Numbers about the worker for Prometheus; served on a port of their own only when the settings name one."""

from __future__ import annotations

from prometheus_client import Counter, Histogram, start_http_server

STAGE_SECONDS = Histogram(
    "iis_worker_stage_seconds",
    "Time to compute a stage; reused ones are not in it.",
    ["stage"],
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 14400),
)
STAGES_REUSED = Counter("iis_worker_stages_reused", "Stages whose output was already held.", ["stage"])
QUESTION_SECONDS = Histogram(
    "iis_worker_question_seconds",
    "Time to answer a question about a scored job.",
    ["kind"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
JOBS_ENDED = Counter("iis_worker_jobs_ended", "Attempts by how they ended.", ["kind", "end"])
WEBHOOK_ATTEMPTS = Counter("iis_worker_webhook_attempts", "Attempts to tell a webhook something, by how they ended.", ["end"])


def serve_metrics(port: int | None) -> None:
    """Expose this process's numbers on `port` of every interface; None: not at all."""
    if port is not None:
        start_http_server(port)
