"""The maintenance loop: queue jobs of lost workers again, and wake workers for queued jobs. One worker sweeps at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis
import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.db import transitions
from app.db.scheduling import queued_jobs
from app.queue import QUEUE, wake_worker
from app.storage import StorageUnavailable
from worker.runtime import Runtime

SWEEP_LOCK = 0x1155  # key of the advisory lock that the sweeping worker holds
WAKE_UPS_PER_SWEEP = 1000

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sweep:
    """Result of one sweep."""

    released: int  # jobs of lost workers that were queued again
    wake_ups: int  # messages sent for queued jobs


class Sweeper:
    """Sweep every `sweep_seconds`.

    Parameters
    ----------
    maintain : further maintenance after each sweep, such as deleting expired uploads; it commits
    """

    def __init__(self, runtime: Runtime, maintain: Callable[[Session], object] | None = None) -> None:
        self._runtime = runtime
        self._maintain = maintain
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def sweep(self) -> Sweep | None:
        """Sweep once; None when another worker is sweeping, or the database is unavailable."""
        try:
            with self._runtime.sessions.begin() as session:
                if not session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": SWEEP_LOCK}):
                    return None
                released = transitions.release_expired(session, self._runtime.settings.max_attempts)
            wake_ups = self._wake_workers()
            if self._maintain is not None:
                with self._runtime.sessions() as session:
                    self._maintain(session)
        except (SQLAlchemyError, StorageUnavailable) as error:
            log.warning("sweep_failed", error=str(error))
            return None
        done = Sweep(len(released), wake_ups)
        if released:
            log.info("leases_released", jobs=released)
        return done

    def _wake_workers(self) -> int:
        """Send a wake-up message for every queued job, unless the broker holds as many messages: then all workers are busy."""
        with self._runtime.sessions.begin() as session:
            queued = queued_jobs(session, WAKE_UPS_PER_SWEEP)
        if not queued:
            return 0
        try:
            with redis.Redis.from_url(self._runtime.settings.redis_url, socket_connect_timeout=1, socket_timeout=1) as broker:
                waiting = broker.llen(QUEUE)
        except redis.RedisError as error:
            log.warning("broker_unreachable", error=str(error))
            return 0
        if int(waiting) >= len(queued):  # pyright: ignore[reportArgumentType] (redis types llen for its async client too)
            return 0
        return sum(wake_worker(job_id, self._runtime.settings.redis_url) for job_id in queued)

    def _run(self) -> None:
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                self.sweep()
            except Exception:  # the boundary: this thread must survive every error
                log.exception("sweep_crashed")
            self._closing.wait(max(0.0, self._runtime.settings.sweep_seconds - (time.monotonic() - began)))
