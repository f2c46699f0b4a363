"""Wake requests that wait for a job: one LISTEN connection for the process. Notifications carry no data; waiters read the database."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Any, cast

import psycopg
import structlog
from fastapi import Depends, Request
from sqlalchemy import Engine

from app.db.job_events import EVENTS_CHANNEL
from app.db.session import TCP_TIMEOUTS

LINGER_SECONDS = 1.0  # how often the listener checks whether a request still waits
RECONNECT_SECONDS = 1.0
CONNECT_TIMEOUT_SECONDS = 3

log = structlog.get_logger(__name__)


class Waiter:
    """One waiting request. It may wake without a new event (after a reconnect), but never misses one."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._bell = asyncio.Event()

    def wake(self) -> None:
        """Wake the request; called from the listener's thread."""
        try:
            self._loop.call_soon_threadsafe(self._bell.set)
        except RuntimeError:  # the event loop of the request has closed
            log.debug("waiter_gone")

    async def wait(self, timeout_seconds: float) -> None:
        """Return on a notification since the last wait, or after `timeout_seconds`."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._bell.wait()
        except TimeoutError:
            return
        self._bell.clear()


class JobSignals:
    """Listen on PostgreSQL while requests wait, on a separate connection, so that they hold none of the pool."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._waiters: defaultdict[str, set[Waiter]] = defaultdict(set)
        self._listener: threading.Thread | None = None

    @contextmanager
    def watch(self, job_id: str) -> Generator[Waiter]:
        """A waiter that wakes when `job_id` has a new event; read the database after entering, then wait."""
        waiter = Waiter()
        with self._lock:
            self._waiters[job_id].add(waiter)
            if self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="job-signals", daemon=True)
                self._listener.start()
        try:
            yield waiter
        finally:
            with self._lock:
                self._waiters[job_id].discard(waiter)
                if not self._waiters[job_id]:
                    del self._waiters[job_id]

    def _listen(self) -> None:
        while self._is_wanted():
            try:
                self._relay()
            except psycopg.Error as error:
                log.warning("job_signals_disconnected", error=str(error))
                threading.Event().wait(RECONNECT_SECONDS)

    def _relay(self) -> None:
        arguments, given = self._engine.dialect.create_connect_args(self._engine.url)
        options: dict[str, Any] = {**given, "connect_timeout": CONNECT_TIMEOUT_SECONDS, **TCP_TIMEOUTS}
        with psycopg.connect(*arguments, **options, autocommit=True) as connection:
            connection.execute(f"LISTEN {EVENTS_CHANNEL}")
            self.wake_all()  # notifications before LISTEN took effect were lost
            while self._is_wanted():
                for notice in connection.notifies(timeout=LINGER_SECONDS):
                    self._wake(notice.payload)

    def _is_wanted(self) -> bool:
        with self._lock:
            if self._listener is not threading.current_thread():  # a later waiter has started another listener
                return False
            if not self._waiters:
                self._listener = None
                return False
            return True

    def _wake(self, job_id: str) -> None:
        with self._lock:
            for waiter in self._waiters.get(job_id, ()):
                waiter.wake()

    def wake_all(self) -> None:
        """Wake all waiting requests."""
        with self._lock:
            for waiters in self._waiters.values():
                for waiter in waiters:
                    waiter.wake()


async def _job_signals(request: Request) -> JobSignals:
    return cast("JobSignals", request.app.state.job_signals)


SignalsDep = Annotated[JobSignals, Depends(_job_signals)]
