"""What one worker process holds while it runs: settings, sessions, storage, its name and the jobs in its hands. No job's rules here."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from app.db.session import SessionFactory, make_engine, make_session_factory
from app.settings import Settings
from app.storage import ArtifactStore, open_store
from worker.sandbox.process import ChildProcess, Stop
from worker.sandbox.resource_limits import ResourceLimits
from worker.sandbox.scratch_folders import LockedFolder


@dataclass
class Runtime:
    """Shared by the threads of one worker process; each thread has a compute process of its own."""

    settings: Settings
    sessions: SessionFactory
    store: ArtifactStore
    name: str
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _active: dict[int, Stop] = field(default_factory=dict[int, Stop])
    _computes: list[ChildProcess] = field(default_factory=list[ChildProcess])
    _of_thread: threading.local = field(default_factory=threading.local)
    shutting_down: threading.Event = field(default_factory=threading.Event)

    @property
    def work_folder(self) -> Path:
        """Where each compute process of jobs has a folder for its workspaces."""
        return self.settings.data_folder.absolute() / "work"

    @property
    def compute_home(self) -> Path:
        return self.settings.data_folder.absolute() / "compute"

    @property
    def limits(self) -> ResourceLimits:
        """What each compute process may take."""
        return ResourceLimits(self.settings.child_memory_bytes, self.settings.child_disk_bytes)

    @property
    def compute(self) -> ChildProcess:
        """The compute process of this thread; it is started when a stage first needs it."""
        compute: ChildProcess | None = getattr(self._of_thread, "compute", None)
        if compute is None:
            folder = LockedFolder(self.work_folder, f"{self.name.replace(':', '-')}-{secrets.token_hex(3)}")
            compute = self._of_thread.compute = ChildProcess(self.compute_home, folder)
            with self._lock:
                self._computes.append(compute)
        return compute

    def use_compute(self, compute: ChildProcess) -> None:
        """Let this thread use a compute process that someone else closes."""
        self._of_thread.compute = compute

    @contextmanager
    def in_hand(self) -> Generator[Stop]:
        """A stop for one job, which a shutdown of the worker also sets."""
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

    def shut_down(self) -> None:
        """Ask every job in hand to stop; each goes back to the queue."""
        self.shutting_down.set()
        with self._lock:
            for stop in self._active.values():
                stop.set("shutdown")

    def close(self) -> None:
        """End the compute processes and remove their folders; call it when no job is in hand."""
        with self._lock:
            computes, self._computes = self._computes, []
        for compute in computes:
            compute.close()


def open_runtime(settings: Settings) -> Runtime:
    """Connect lazily to everything the settings name; nothing is contacted yet."""
    engine = make_engine(settings)
    _let_go_when_suspended(engine, settings.lease_seconds)
    name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
    return Runtime(settings, make_session_factory(engine), open_store(settings), name)


def _let_go_when_suspended(engine: Engine, lease_seconds: float) -> None:
    """Let PostgreSQL end our transaction when we fall silent in its middle: the rows it locks would be out of everyone's reach."""
    timeout_milliseconds = max(1, int(lease_seconds * 1000 / 2))

    def limit(connection: Any, _: object) -> None:
        connection.execute(f"SET idle_in_transaction_session_timeout = {timeout_milliseconds}")
        connection.commit()

    event.listen(engine, "connect", limit)
