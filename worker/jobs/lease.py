"""Renew the lease of a running job or task; stop the work when the lease is lost or the job's cancellation is requested."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.db import tasks, transitions
from app.db.session import SessionFactory
from app.settings import Settings
from worker.sandbox.watch import Stop

OUTAGE_SECONDS = 90.0  # time without the database that a running job survives

log = structlog.get_logger(__name__)


class Lease(Protocol):
    """A lease of a job or of one of its tasks."""

    @property
    def job_id(self) -> str: ...

    def renew(self, session: Session, lease_seconds: float) -> str | None:
        """Extend the lease; returns `running` or `canceling`, or None if it is lost."""
        ...

    def state(self, session: Session) -> str | None:
        """The same, without writing."""
        ...


@dataclass(frozen=True)
class JobLease:
    """The lease of a job, and of the task that its own worker computes."""

    job_id: str
    token: str

    def renew(self, session: Session, lease_seconds: float) -> str | None:
        state = transitions.renew(session, self.job_id, self.token, lease_seconds)
        tasks.renew(session, self.token, lease_seconds)
        return state

    def state(self, session: Session) -> str | None:
        return transitions.state_under_lease(session, self.job_id, self.token)


@dataclass(frozen=True)
class TaskLease:
    """The lease of a task of a job that another worker runs."""

    task: tasks.ClaimedTask

    @property
    def job_id(self) -> str:
        return self.task.job_id

    def renew(self, session: Session, lease_seconds: float) -> str | None:
        tasks.renew(session, self.task.token, lease_seconds)
        return self.state(session)

    def state(self, session: Session) -> str | None:
        return tasks.state_under_lease(session, self.task.id, self.task.token)


class LeaseKeeper:
    """A thread that renews a lease and reads the job's state; used as a context manager around the work.

    While the database is unavailable the work continues for `OUTAGE_SECONDS`, longer than the lease: leases are not released
    right after an outage, and if another worker has claimed the job, the lease token fences this one's writes. The same applies after the
    process was suspended.
    """

    def __init__(self, sessions: SessionFactory, settings: Settings, lease: Lease, stop: Stop) -> None:
        self._sessions = sessions
        self._settings = settings
        self._lease = lease
        self._stop = stop
        self._done = threading.Event()
        stop.abandon_at = time.monotonic() + OUTAGE_SECONDS
        self._thread = threading.Thread(target=self._keep, name=f"lease-{lease.job_id}", daemon=True)

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
                    state = self._lease.renew(session, self._settings.lease_seconds) if asked_at >= renew_at else self._lease.state(session)
            except SQLAlchemyError as error:
                log.warning("lease_not_renewed", job_id=self._lease.job_id, error=str(error))
                continue
            if asked_at >= renew_at:
                self._stop.abandon_at = asked_at + OUTAGE_SECONDS
                renew_at = asked_at + self._settings.heartbeat_seconds
            if self._done.is_set():
                return
            if state is None:
                self._stop.set("lease_lost")
                return
            if state != "running":
                self._stop.set("canceling")
