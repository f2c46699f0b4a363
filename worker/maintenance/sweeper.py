"""Queue jobs and tasks of lost workers again, and wake workers for queued ones. One worker sweeps at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass

import redis
import structlog
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from app.db import tasks, transitions
from app.db.models import Worker
from app.db.scheduling import queued_jobs
from app.queue import QUEUE, wake_worker
from worker.runtime import Runtime

SWEEP_LOCK = 0x1155  # key of the advisory lock that the sweeping worker holds
WAKE_UPS_PER_WORKER, WAKE_UPS_PER_SWEEP = 16, 1000  # at most

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sweep:
    """Result of one sweep."""

    released: int  # jobs of lost workers that were queued again
    wake_ups: int  # messages sent for queued jobs and tasks


class Sweeper:
    """`sweep`, called every `sweep_seconds`.

    A worker that was killed is noticed within `lease_seconds` + `sweep_seconds`. After an outage of the database no lease is released for
    `lease_seconds`, so that workers can renew theirs.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._was_outage = False
        self._release_from = 0.0  # time.monotonic()

    def sweep(self) -> Sweep | None:
        """Sweep once; None when another worker is sweeping, or the database is unavailable."""
        settings = self._runtime.settings
        try:
            with self._runtime.sessions.begin() as session:
                if not session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": SWEEP_LOCK}):
                    return None
                may_release = self._may_release()
                released = transitions.release_expired(session, settings.max_attempts) if may_release else []
                if may_release:
                    tasks.release_expired(session, settings.max_attempts)
            wake_ups = self._wake_workers()
        except SQLAlchemyError as error:
            log.warning("sweep_failed", error=str(error))
            self._was_outage = True
            return None
        if released:
            log.info("leases_released", jobs=released)
        return Sweep(len(released), wake_ups)

    def _may_release(self) -> bool:
        if self._was_outage:
            self._was_outage = False
            self._release_from = time.monotonic() + self._runtime.settings.lease_seconds
        return time.monotonic() >= self._release_from

    def _wake_workers(self) -> int:
        """Send wake-up messages until there are as many as queued jobs and tasks: where they wait, all workers are busy.

        Few for each worker, which takes one job after the other: idle workers of a kind that no queued job wants receive them too.
        """
        with self._runtime.sessions.begin() as session:
            alive = session.scalar(select(func.count()).select_from(Worker).where(Worker.alive_until > func.clock_timestamp())) or 1
            most = min(WAKE_UPS_PER_WORKER * alive, WAKE_UPS_PER_SWEEP)
            queued = [*queued_jobs(session, most), *tasks.queued_of_running_jobs(session, most)][:most]
        if not queued:
            return 0
        try:
            with redis.Redis.from_url(self._runtime.settings.redis_url, socket_connect_timeout=1, socket_timeout=1) as broker:
                waiting = int(broker.llen(QUEUE))  # pyright: ignore[reportArgumentType] (redis types llen for its async client too)
        except redis.RedisError as error:
            log.warning("broker_unreachable", error=str(error))
            return 0
        return sum(wake_worker(job_id, self._runtime.settings.redis_url) for job_id in queued[waiting:])
