"""What was asked, and what questions are answered with: compute processes, files at hand, artifacts."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.jobs.artifacts import OwnersArtifacts
from worker.queries.file_cache import FileCache
from worker.runtime import Runtime
from worker.sandbox.process import ChildProcess, Stop, Watch
from worker.sandbox.scratch_folders import LockedFolder

ANSWER_DEADLINE_SECONDS = 600
WARM_PROCESSES = 4  # of as many owners; to change hands would cost each question seconds
PROCESS_FOLDER = ".process"


@dataclass(frozen=True)
class Query:
    """What was asked.

    Attributes
    ----------
    kind : of `worker.handlers.dispatch.HANDLERS` about a scored job, or of `worker.handlers.study.HANDLERS` about a study
    about : the question's own fields; `job` or `study` among them
    """

    owner_id: str
    kind: str
    about: dict[str, Any]


class QueryContext:
    """Compute processes and files of the questions of one worker."""

    def __init__(self, runtime: Runtime, stop: Stop) -> None:
        self.runtime = runtime
        self.stop = stop
        settings = runtime.settings
        home = settings.data_folder.absolute()
        self.files = FileCache(home / "answering", runtime.name.replace(":", "-"), settings.answer_cache_bytes)
        self._computes: OrderedDict[tuple[str, bool], ChildProcess] = OrderedDict()

    def folder(self, owner_id: str) -> Path:
        """Where an owner's files at hand lie, which no process for another owner sees."""
        folder = self.files.folder / owner_id
        folder.mkdir(exist_ok=True)
        return folder

    def file(self, owner_id: str, name: str, make: Callable[[Path], None]) -> Path:
        """An owner's file or folder at hand; see `FileCache.get`."""
        self.folder(owner_id)
        return self.files.get(f"{owner_id}/{name}", make)

    def drop(self, owner_id: str, names: Iterable[str]) -> None:
        """Remove files of an owner now."""
        self.files.drop(f"{owner_id}/{name}" for name in names)

    def compute(
        self, owner_id: str, stage: str, arguments: dict[str, Any], *, reads: tuple[Path, ...] = (), network: bool = False
    ) -> dict[str, Any]:
        """Run a stage among the files at hand, in a process of this owner's that stays warm, and return its result."""
        compute = self._compute_of(owner_id, network=network)
        return self._run(compute, owner_id, stage, self.folder(owner_id), arguments, ANSWER_DEADLINE_SECONDS, reads, network=network)

    def compute_apart(
        self,
        owner_id: str,
        stage: str,
        arguments: dict[str, Any],
        *,
        workspace: Path,
        seconds: float,
        reads: tuple[Path, ...] = (),
        network: bool,
    ) -> dict[str, Any]:
        """Run a stage in a process of its own that ends with it, from whichever thread."""
        compute = ChildProcess(self.runtime.compute_home, LockedFolder(workspace, PROCESS_FOLDER), visible_folder=workspace)
        try:
            return self._run(compute, owner_id, stage, workspace, arguments, seconds, reads, network=network)
        finally:
            compute.close()

    def _compute_of(self, owner_id: str, *, network: bool) -> ChildProcess:
        """The process for an owner; one that may fetch weights by name is another one than that which parses uploads."""
        key = owner_id, network
        if key not in self._computes:
            while len(self._computes) >= WARM_PROCESSES:
                self._computes.popitem(last=False)[1].close()
            folder = LockedFolder(self.folder(owner_id), f"{PROCESS_FOLDER}-{'network' if network else 'isolated'}")
            self._computes[key] = ChildProcess(self.runtime.compute_home, folder, visible_folder=self.folder(owner_id))
        self._computes.move_to_end(key)
        return self._computes[key]

    def _run(
        self,
        compute: ChildProcess,
        owner_id: str,
        stage: str,
        workspace: Path,
        arguments: dict[str, Any],
        seconds: float,
        reads: tuple[Path, ...],
        *,
        network: bool,
    ) -> dict[str, Any]:
        watch = Watch(self.stop, time.monotonic() + seconds, self.runtime.limits)
        return compute.run(
            *(stage, workspace, arguments, watch),
            owner_id=owner_id,
            reads=reads,
            network=network,
            on_progress=_ignore,
            on_output=_ignore,
        )

    def artifacts(self, owner_id: str) -> OwnersArtifacts:
        """What jobs and questions of an owner have left."""
        return OwnersArtifacts(owner_id, self.runtime.store)

    def artifact(self, owner_id: str, sha256: str, name: str | None = None) -> Path:
        """Stored content as a file at hand."""
        artifacts = self.artifacts(owner_id)
        return self.file(owner_id, name or sha256, lambda path: artifacts.fetch(sha256, path, self.stop.check))

    def keep(self, owner_id: str, stage: str, key: str, make: Callable[[], str]) -> str:
        """The sha256 of a file that answers a question, stored like any stage's output, so that its size passes through no message.

        Parameters
        ----------
        key : digest of everything it depends on
        make : leaves the file among those at hand and returns its name; called where nothing is kept under the key
        """
        artifacts = self.artifacts(owner_id)
        with self.runtime.sessions() as session:
            held = artifacts.find(session, [key]).get(key)
        if held is None or not self.runtime.store.exists(held):
            path = self.folder(owner_id) / Path(make()).name
            stored = artifacts.upload(key, stage, path, self.stop.check)
            with self.runtime.sessions.begin() as session:
                artifacts.record(session, stored)
            path.unlink()
            held = stored.sha256
        return held

    def close(self) -> None:
        """End the compute processes and remove the files."""
        for compute in self._computes.values():
            compute.close()
        self.files.close()


def _ignore(*_: object) -> None:
    """Questions show no progress."""
