"""Renew the lease of a running job; stop the job when the lease is lost or its cancellation is requested."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.db import transitions
from app.db.session import SessionFactory
from app.settings import Settings
from worker.sandbox.process import Stop

OUTAGE_SECONDS = 90.0  # time without the database that a running job survives

log = structlog.get_logger(__name__)


class LeaseKeeper:
    """A thread that renews the lease and reads the job's state; used as a context manager around the work.

    While the database is unavailable the work continues for `OUTAGE_SECONDS`, longer than the lease: leases are not released
    right after an outage, and if another worker has claimed the job, the lease token fences this one's writes. The same applies after the
    process was suspended.
    """

    def __init__(self, sessions: SessionFactory, settings: Settings, job_id: str, token: str, stop: Stop) -> None:
        self._sessions = sessions
        self._settings = settings
        self._job_id = job_id
        self._token = token
        self._stop = stop
        self._done = threading.Event()
        stop.abandon_at = time.monotonic() + OUTAGE_SECONDS
        self._thread = threading.Thread(target=self._keep, name=f"lease-{job_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _keep(self) -> None:
        renew_at = time.monotonic() + self._settings.heartbeat_seconds
        while not self._done.wait(self._settings.cancel_poll_seconds):
            asked_at = time.monotonic()
            try:
                with self._sessions.begin() as session:
                    if asked_at >= renew_at:
                        state = transitions.renew(session, self._job_id, self._token, self._settings.lease_seconds)
                    else:
                        state = transitions.state_under_lease(session, self._job_id, self._token)
            except SQLAlchemyError as error:
                log.warning("lease_not_renewed", job_id=self._job_id, error=str(error))
                continue
            if asked_at >= renew_at:
                self._stop.abandon_at = asked_at + OUTAGE_SECONDS
                renew_at = asked_at + self._settings.heartbeat_seconds
            if self._done.is_set():
                return
            if state is None:
                self._stop.set("lease_lost")
                return
            if state == "canceling":
                self._stop.set("canceling")
