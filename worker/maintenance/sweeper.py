"""The maintenance loop: whatever was dropped on the way is picked up again. One worker at a time sweeps; no job runs here."""

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

SWEEP_LOCK = 0x1155  # the advisory lock that one sweeping worker holds
RINGS_PER_SWEEP = 1000

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sweep:
    """What one sweep did."""

    released: int  # jobs taken from workers that stopped answering and queued again
    rung: int


class Sweeper:
    """Sweeps every `sweep_seconds`, or at once when `nudge` is called.

    Parameters
    ----------
    housekeeping : further work after it, such as expiring uploads; it commits by itself
    """

    def __init__(self, runtime: Runtime, housekeeping: Callable[[Session], object] | None = None) -> None:
        self._runtime = runtime
        self._housekeeping = housekeeping
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def nudge(self) -> None:
        """Sweep now instead of at the next interval."""
        self._wake.set()

    def close(self) -> None:
        self._closing.set()
        self._wake.set()
        self._thread.join()

    def sweep(self) -> Sweep | None:
        """Sweep once; None when another worker is sweeping, or the database is away."""
        try:
            with self._runtime.sessions.begin() as session:
                if not session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": SWEEP_LOCK}):
                    return None
                released = transitions.release_expired(session, self._runtime.settings.max_attempts)
            rung = self._ring_again()
            if self._housekeeping is not None:
                with self._runtime.sessions() as session:
                    self._housekeeping(session)
        except (SQLAlchemyError, StorageUnavailable) as error:
            log.warning("sweep_failed", error=str(error))
            return None
        done = Sweep(len(released), rung)
        if released:
            log.info("leases_released", jobs=released)
        return done

    def _ring_again(self) -> int:
        """Ring for every queued row, unless as many bells as rows still wait in the broker: then workers are merely busy."""
        with self._runtime.sessions.begin() as session:
            queued = queued_jobs(session, RINGS_PER_SWEEP)
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
            except Exception:  # the boundary: without this thread dropped jobs would never be picked up again
                log.exception("sweep_broke")
            self._wake.wait(max(0.0, self._runtime.settings.sweep_seconds - (time.monotonic() - began)))
            self._wake.clear()
