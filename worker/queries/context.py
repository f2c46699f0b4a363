"""A query, and the resources that queries share: child processes, cached files and artifacts."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.db.models import Json
from worker.jobs.artifacts import OwnersArtifacts
from worker.queries.file_cache import FileCache
from worker.runtime import Runtime
from worker.sandbox.process import ChildProcess
from worker.sandbox.scratch_folders import LockedFolder
from worker.sandbox.watch import Stop, Watch

WARM_PROCESSES = 4  # one an owner, since starting a process takes seconds
PROCESS_FOLDER = ".process"


@dataclass(frozen=True)
class Query:
    """A query of an owner about a scored job or a study.

    Attributes
    ----------
    kind : a key of `worker.handlers.dispatch.HANDLERS` for jobs, or of `worker.handlers.study.HANDLERS` for studies
    about : the fields of the kind, including `job` or `study`
    deadline : time.monotonic() at which the caller stops waiting
    """

    owner_id: str
    kind: str
    about: Json
    deadline: float = math.inf


class QueryContext:
    """Child processes and cached files for the queries of one worker, shared by its query threads; an owner has one query at a time."""

    def __init__(self, runtime: Runtime, stop: Stop) -> None:
        self.runtime = runtime
        self.stop = stop
        settings = runtime.settings
        home = settings.data_folder.absolute()
        self.files = FileCache(home / "queries", runtime.name.replace(":", "-"), settings.answer_cache_bytes)
        self._lock = threading.Lock()
        self._children: OrderedDict[tuple[str, bool], ChildProcess] = OrderedDict()
        self._running = set[tuple[str, bool]]()

    def folder(self, owner_id: str) -> Path:
        """The folder of an owner's cached files; a child process of another owner cannot read it."""
        folder = self.files.folder / owner_id
        folder.mkdir(exist_ok=True)
        return folder

    def file(self, owner_id: str, name: str, make: Callable[[Path], None]) -> Path:
        """A cached file or folder of an owner; see `FileCache.get`."""
        self.folder(owner_id)
        return self.files.get(f"{owner_id}/{name}", make)

    def drop(self, owner_id: str, names: Iterable[str]) -> None:
        """Remove cached files of an owner."""
        self.files.drop(f"{owner_id}/{name}" for name in names)

    def run_stage(self, query: Query, stage: str, arguments: Json, *, reads: tuple[Path, ...] = (), network: bool = False) -> Json:
        """Run a stage in the folder of the owner's cached files, in a process of this owner that stays warm; returns its result.

        The stage ends at the deadline of the query, and its process with it.
        """
        owner_id = query.owner_id
        with self._child_of(owner_id, network=network) as child:
            return self._run(child, owner_id, stage, self.folder(owner_id), arguments, query.deadline, reads, network=network)

    def run_stage_separately(
        self,
        owner_id: str,
        stage: str,
        arguments: Json,
        *,
        workspace: Path,
        seconds: float,
        reads: tuple[Path, ...] = (),
        network: bool,
    ) -> Json:
        """Run a stage in a new process that ends with it; callable from any thread."""
        child = self._new_child(LockedFolder(workspace, PROCESS_FOLDER), workspace)
        try:
            return self._run(child, owner_id, stage, workspace, arguments, time.monotonic() + seconds, reads, network=network)
        finally:
            child.close()

    @contextmanager
    def _child_of(self, owner_id: str, *, network: bool) -> Generator[ChildProcess]:
        """The warm process of an owner: one with the network, which downloads weights by name, and one without, which parses uploads."""
        key = owner_id, network
        with self._lock:
            if key not in self._children:
                idle = [each for each in self._children if each not in self._running]
                for oldest in idle[: max(0, len(self._children) + 1 - WARM_PROCESSES)]:
                    self._children.pop(oldest).close()
                folder = LockedFolder(self.folder(owner_id), f"{PROCESS_FOLDER}-{'network' if network else 'isolated'}")
                self._children[key] = self._new_child(folder, self.folder(owner_id))
            self._children.move_to_end(key)
            self._running.add(key)
            child = self._children[key]
        try:
            yield child
        finally:
            with self._lock:
                self._running.discard(key)

    def _new_child(self, folder: LockedFolder, visible_folder: Path) -> ChildProcess:
        best_effort = self.runtime.settings.best_effort_confinement
        return ChildProcess(self.runtime.child_home, folder, visible_folder=visible_folder, best_effort=best_effort)

    def _run(
        self,
        child: ChildProcess,
        owner_id: str,
        stage: str,
        workspace: Path,
        arguments: Json,
        deadline: float,
        reads: tuple[Path, ...],
        *,
        network: bool,
    ) -> Json:
        watch = Watch(self.stop, deadline, self.runtime.limits)
        return child.run(
            *(stage, workspace, arguments, watch),
            owner_id=owner_id,
            reads=reads,
            network=network,
            on_progress=_ignore,
            on_output=_ignore,
        )

    def artifacts(self, owner_id: str) -> OwnersArtifacts:
        """Artifacts that jobs and queries of an owner have stored."""
        return OwnersArtifacts(owner_id, self.runtime.store)

    def artifact(self, owner_id: str, sha256: str, name: str | None = None) -> Path:
        """Stored content as a cached file."""
        artifacts = self.artifacts(owner_id)
        return self.file(owner_id, name or sha256, lambda path: artifacts.fetch(sha256, path, self.stop.check))

    def store_result(self, owner_id: str, stage: str, key: str, make: Callable[[], str]) -> str:
        """Store a result that is a file, like the output of a stage; returns its sha256. Large results thus need no large message.

        Parameters
        ----------
        key : digest of everything that the result depends on
        make : writes the file into the owner's folder and returns its name; called only when storage has no file with this key
        """
        artifacts = self.artifacts(owner_id)
        with self.runtime.sessions() as session:
            sha256 = artifacts.find(session, [key]).get(key)
        if sha256 is None or not self.runtime.store.exists(sha256):
            path = self.folder(owner_id) / Path(make()).name
            stored = artifacts.upload(key, stage, path, self.stop.check)
            with self.runtime.sessions.begin() as session:
                artifacts.record(session, stored)
            path.unlink()
            sha256 = stored.sha256
        return sha256

    def close(self) -> None:
        """End the child processes and remove the cached files."""
        for child in self._children.values():
            child.close()
        self.files.close()


def _ignore(*_: object) -> None:
    """Queries report no progress."""
