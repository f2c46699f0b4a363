"""Tasks that make whole files from stored ones: stages side by side, choices of strengths, and curves of library seeds."""

from __future__ import annotations

import time
from collections.abc import Mapping

from sqlalchemy.orm import Session

from app.db import tasks
from app.db.models import Json
from app.db.tasks import ClaimedTask
from app.storage import ArtifactMissing
from worker.jobs.attempt import Attempt
from worker.jobs.outputs import warnings_of
from worker.jobs.stage_workspace import StageWorkspace


def fetch_inputs(attempt: Attempt, inputs: Mapping[str, str], workspace: StageWorkspace) -> None:
    """Fetch stored files into a workspace, unless they are there.

    Parameters
    ----------
    inputs : artifact keys by file name

    Raises
    ------
    ArtifactMissing
    """
    folder, artifacts = workspace.folder, attempt.artifacts
    found = attempt.write(lambda session: artifacts.find(session, inputs.values())) if inputs else {}
    for name, key in inputs.items():
        if key not in found:
            raise ArtifactMissing(f"The file {name} is no longer stored.")
        if not (folder / name).exists():
            (folder / name).parent.mkdir(exist_ok=True)
            artifacts.fetch(found[key], folder / name, attempt.stop.check)


def compute_file_task(attempt: Attempt, task: ClaimedTask, workspace: StageWorkspace) -> None:
    """Compute a task, and store its files and end it in one transaction.

    Fields of the task's `spec`: `stage` and `arguments` for the child process; `inputs` and `outputs`, artifact keys by file name; for a
    part of a stage also `of`, the stage, and `labels`, the column `stage` of the artifacts by file name.
    """
    began, spec, artifacts = time.monotonic(), task.spec, attempt.artifacts
    folder, check = workspace.folder, attempt.stop.check
    fetch_inputs(attempt, spec["inputs"], workspace)
    arguments = spec["arguments"] | {"sources": {}, "device": attempt.runtime.settings.device}
    result = attempt.compute(spec["stage"], arguments, workspace=workspace)
    labels: dict[str, str] = spec.get("labels", {})
    stored = [artifacts.upload(key, labels.get(name, str(spec["stage"])), folder / name, check) for name, key in spec["outputs"].items()]
    seconds = round(time.monotonic() - began, 3)
    done: Json = {"stage": spec["stage"], "state": "finished"}
    if "of" in spec:
        done = {"stage": spec["of"], "state": "task", "number": task.number, "group": task.stage}
    event = done | {"seconds": seconds, "worker": attempt.runtime.name} | workspace.event_fields

    def record(session: Session) -> None:
        for file in stored:  # before the job's row is locked, because it asks storage
            artifacts.record(session, file)
        tasks.finish(session, task)
        for message in warnings_of(result):
            tasks.add_event(session, task, "warning", {"message": message})
        tasks.add_event(session, task, "stage", event)

    attempt.write(record)
