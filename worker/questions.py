"""What was asked, and what questions are answered with: compute processes, files at hand, artifacts. What each needs: `worker.desk`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.artifacts import OwnersArtifacts
from worker.at_hand import FilesAtHand
from worker.compute import Compute, Stop, Watch
from worker.runtime import Runtime

ANSWER_DEADLINE_SECONDS = 600


@dataclass(frozen=True)
class Question:
    """What was asked.

    Attributes
    ----------
    kind : of `worker.answers.KINDS` about a scored job, or of `worker.study_answers.KINDS` about a study
    about : the question's own fields; `job` or `study` among them
    """

    owner_id: str
    kind: str
    about: dict[str, Any]


class Bench:
    """Compute processes and files of the questions of one worker."""

    def __init__(self, runtime: Runtime, stop: Stop) -> None:
        self.runtime = runtime
        self.stop = stop
        settings = runtime.settings
        home = settings.data_folder.absolute()
        self.files = FilesAtHand(home / "answering", runtime.name.replace(":", "-"), settings.answer_cache_bytes)
        # A process that may use the network for weights by name is another one than that which parses uploads.
        self._computes = {network: Compute(home / "compute") for network in (False, True)}

    def compute(self, stage: str, arguments: dict[str, Any], *, network: bool = False) -> dict[str, Any]:
        """Run a stage among the files at hand, in a process that stays warm, and return its result."""
        return self._run(self._computes[network], stage, self.files.folder, arguments, ANSWER_DEADLINE_SECONDS, network=network)

    def compute_apart(self, stage: str, arguments: dict[str, Any], *, workspace: Path, seconds: float, network: bool) -> dict[str, Any]:
        """Run a stage in a process of its own that ends with it, from whichever thread."""
        compute = Compute(self.runtime.settings.data_folder.absolute() / "compute")
        try:
            return self._run(compute, stage, workspace, arguments, seconds, network=network)
        finally:
            compute.kill()

    def _run(
        self, compute: Compute, stage: str, workspace: Path, arguments: dict[str, Any], seconds: float, *, network: bool
    ) -> dict[str, Any]:
        watch = Watch(self.stop, time.monotonic() + seconds, self.runtime.settings.child_memory_bytes)
        return compute.run(stage, workspace, arguments, watch, network=network, on_progress=_ignore, on_output=_ignore)

    def artifacts(self, owner_id: str) -> OwnersArtifacts:
        """What jobs and questions of an owner have left."""
        return OwnersArtifacts(owner_id, self.runtime.store)

    def artifact(self, owner_id: str, sha256: str, name: str | None = None) -> Path:
        """Stored content as a file at hand."""
        artifacts = self.artifacts(owner_id)
        return self.files.get(name or sha256, lambda path: artifacts.fetch(sha256, path, self.stop.check))

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
            path = self.files.folder / Path(make()).name
            stored = artifacts.upload(key, stage, path, self.stop.check)
            with self.runtime.sessions.begin() as session:
                artifacts.record(session, stored)
            path.unlink()
            held = stored.sha256
        return held

    def close(self) -> None:
        """End the compute processes and remove the files."""
        for compute in self._computes.values():
            compute.kill()
        self.files.close()


def _ignore(*_: object) -> None:
    """Questions show no progress."""
