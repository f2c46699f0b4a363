"""State of one worker process: settings, sessions, storage, name, child processes and running jobs."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psycopg
from psycopg.sql import SQL
from sqlalchemy import Engine, event

from app.db.scheduling import WorkerKind
from app.db.session import SessionFactory, make_engine, make_session_factory
from app.settings import Settings
from app.storage import ArtifactStore, open_store
from worker.gpu_assignment import worker_kind
from worker.sandbox.process import ChildProcess
from worker.sandbox.resource_limits import ResourceLimits
from worker.sandbox.scratch_folders import LockedFolder
from worker.sandbox.watch import Stop

HELP_PAUSE_SECONDS = 300.0


@dataclass
class Runtime:
    """Shared by the threads of one worker process; each thread has a child process of its own."""

    settings: Settings
    sessions: SessionFactory
    store: ArtifactStore
    name: str
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _active: dict[int, Stop] = field(default_factory=dict[int, Stop])
    _children: list[ChildProcess] = field(default_factory=list[ChildProcess])
    _of_thread: threading.local = field(default_factory=threading.local)
    _not_helped: dict[str, float] = field(default_factory=dict[str, float])  # job -> end of the pause, on the monotonic clock
    shutting_down: threading.Event = field(default_factory=threading.Event)

    @cached_property
    def kind(self) -> WorkerKind:
        """Whether jobs compute on a GPU here."""
        return worker_kind(self.settings.device, os.environ)

    @property
    def work_folder(self) -> Path:
        """The folder in which the child process of each job thread has a folder for its workspaces."""
        return self.settings.data_folder.absolute() / "work"

    @property
    def child_home(self) -> Path:
        """The folder with the downloads of each owner, for all child processes of this machine."""
        return self.settings.data_folder.absolute() / "compute"

    @property
    def limits(self) -> ResourceLimits:
        """Limits of each child process."""
        return ResourceLimits(self.settings.child_memory_bytes, self.settings.child_disk_bytes)

    @property
    def child(self) -> ChildProcess:
        """The child process of this thread; it starts when a stage first needs it."""
        child: ChildProcess | None = getattr(self._of_thread, "child", None)
        if child is None:
            folder = LockedFolder(self.work_folder, f"{self.name.replace(':', '-')}-{secrets.token_hex(3)}")
            child = self._of_thread.child = ChildProcess(self.child_home, folder, best_effort=self.settings.best_effort_confinement)
            with self._lock:
                self._children.append(child)
        return child

    @contextmanager
    def running_job(self) -> Generator[Stop]:
        """The `Stop` of one job, which a shutdown of the worker also sets."""
        stop = Stop()
        with self._lock:
            self._active[id(stop)] = stop
        if self.shutting_down.is_set():
            stop.set("shutdown")
        try:
            yield stop
        finally:
            with self._lock:
                del self._active[id(stop)]

    def leave_to_others(self, job_id: str) -> None:
        """Take no task of this running job for `HELP_PAUSE_SECONDS`, because one was lost here or its inputs are not readable."""
        with self._lock:
            self._not_helped[job_id] = time.monotonic() + HELP_PAUSE_SECONDS

    def not_helped(self) -> list[str]:
        """Ids of the running jobs whose tasks this worker leaves to others now."""
        with self._lock:
            now = time.monotonic()
            self._not_helped = {job_id: end for job_id, end in self._not_helped.items() if end > now}
            return list(self._not_helped)

    def shut_down(self) -> None:
        """Ask every running job to stop; each returns to the queue."""
        self.shutting_down.set()
        with self._lock:
            for stop in self._active.values():
                stop.set("shutdown")

    def close(self) -> None:
        """End the child processes and remove their folders; call it when no job is running."""
        with self._lock:
            children, self._children = self._children, []
        for child in children:
            child.close()


def open_runtime(settings: Settings) -> Runtime:
    """The runtime for these settings; connections open on first use."""
    engine = make_engine(settings)
    _limit_idle_transactions(engine, settings.lease_seconds)
    name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
    return Runtime(settings, make_session_factory(engine), open_store(settings), name)


def _limit_idle_transactions(engine: Engine, lease_seconds: float) -> None:
    """Let PostgreSQL end a transaction of a worker that is suspended in its middle, since it locks rows."""
    timeout_milliseconds = max(1, int(lease_seconds * 1000 / 2))

    def limit(connection: psycopg.Connection, _: object) -> None:
        connection.execute(SQL("SET idle_in_transaction_session_timeout = {}").format(timeout_milliseconds))
        connection.commit()

    event.listen(engine, "connect", limit)
