"""Wakes whoever waits for a job to move: one LISTEN connection for the whole process. It carries no data; readers ask the database."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Annotated, TypeVar, cast

import psycopg
import structlog
from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi import Depends, Request
from sqlalchemy import Engine

from app.db.job_events import EVENTS_CHANNEL

LINGER_SECONDS = 1.0  # the listener looks this often whether anyone still waits
RECONNECT_SECONDS = 1.0
CONNECT_TIMEOUT_SECONDS = 3
PARALLEL_READS = 6  # threads, and so pool connections, that all waiting readers together take at one moment

Value = TypeVar("Value")

log = structlog.get_logger(__name__)
_read_limiter: RunVar[CapacityLimiter] = RunVar("job_signals_reads")


class Waiter:
    """One reader's bell. It may ring without news (after a reconnect), never the other way round."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """Wake the reader; called from the listener's thread."""
        try:
            self._loop.call_soon_threadsafe(self._bell.set)
        except RuntimeError:  # the reader's event loop has closed: nobody is left to wake
            log.debug("waiter_gone")

    async def wait(self, timeout_seconds: float) -> None:
        """Return once the bell rang since the last wait, or after `timeout_seconds`."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._bell.wait()
        except TimeoutError:
            return
        self._bell.clear()


class JobSignals:
    """Listens on PostgreSQL while anyone waits, on a connection of its own, so that waiting readers hold none of the pool's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._waiters: defaultdict[str, set[Waiter]] = defaultdict(set)
        self._listener: threading.Thread | None = None

    @contextmanager
    def watch(self, job_id: str) -> Generator[Waiter]:
        """A waiter that rings whenever `job_id` has a new event; read the database after entering, then wait."""
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

    async def read(self, query: Callable[[], Value]) -> Value:
        """Run one short transaction in a thread; however many readers wake at once, few of them read at the same time."""
        limiter = _read_limiter.get(None)
        if limiter is None:
            limiter = CapacityLimiter(PARALLEL_READS)
            _read_limiter.set(limiter)
        return await to_thread.run_sync(query, limiter=limiter)

    def _listen(self) -> None:
        while self._is_wanted():
            try:
                self._relay()
            except psycopg.Error as error:
                log.warning("job_signals_disconnected", error=str(error))
                threading.Event().wait(RECONNECT_SECONDS)

    def _relay(self) -> None:
        arguments, options = self._engine.dialect.create_connect_args(self._engine.url)
        options["connect_timeout"] = CONNECT_TIMEOUT_SECONDS
        with psycopg.connect(*arguments, **options, autocommit=True) as connection:
            connection.execute(f"LISTEN {EVENTS_CHANNEL}")
            self._ring_everyone()  # what happened before LISTEN took effect was not heard
            while self._is_wanted():
                for notice in connection.notifies(timeout=LINGER_SECONDS):
                    self._ring(notice.payload)

    def _is_wanted(self) -> bool:
        with self._lock:
            if self._listener is not threading.current_thread():  # a later waiter has started another listener
                return False
            if not self._waiters:
                self._listener = None
                return False
            return True

    def _ring(self, job_id: str) -> None:
        with self._lock:
            for waiter in self._waiters.get(job_id, ()):
                waiter.ring()

    def _ring_everyone(self) -> None:
        with self._lock:
            for waiters in self._waiters.values():
                for waiter in waiters:
                    waiter.ring()


def _job_signals(request: Request) -> JobSignals:
    return cast("JobSignals", request.app.state.job_signals)


SignalsDep = Annotated[JobSignals, Depends(_job_signals)]
