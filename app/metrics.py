"""Prometheus metrics of the API: requests by route, jobs by state. The worker exports stage durations.

With several processes `python -m app` sets PROMETHEUS_MULTIPROC_DIR, and each process exports the sum of all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from app.db.models import JOB_STATES, PUBLIC_JOB_KINDS, Job
from app.db.session import SessionFactory

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
KNOWN_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class RequestMetrics:
    """Request counts and latencies."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._count = Counter("iis_http_requests", "Requests by route and status.", ["method", "route", "status"], registry=registry)
        self._seconds = Histogram("iis_http_request_seconds", "Time to answer a request.", ["method", "route"], registry=registry)

    def count_refusal(self, method: str) -> None:
        """Count a request that was refused before it was parsed."""
        self._count.labels(method if method in KNOWN_METHODS else "other", "refused", "503").inc()

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        method = method if method in KNOWN_METHODS else "other"
        self._count.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


def exported_metrics(requests: RequestMetrics, factory: SessionFactory) -> Callable[[], bytes]:
    """Function that returns the metrics of all processes in the format of Prometheus."""
    registry = requests.registry
    if MULTIPROCESS_FOLDER in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    registry.register(JobsCollector(factory))
    return lambda: generate_latest(registry)


class JobsCollector(Collector):
    """Jobs by kind and state, counted at each scrape; no samples while the database is unavailable."""

    def __init__(self, factory: SessionFactory) -> None:
        self._factory = factory

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield self._family()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = self._family()
        try:
            with self._factory() as session:
                counted = session.execute(select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state)).all()
        except SQLAlchemyError:
            return
        counts = {(kind, state): 0 for kind in PUBLIC_JOB_KINDS for state in JOB_STATES}
        counts |= {(kind, state): count for kind, state, count in counted}
        for (kind, state), count in sorted(counts.items()):
            family.add_metric([kind, state], count)
        yield family

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily("iis_jobs", "Jobs by kind and state.", labels=["kind", "state"])
