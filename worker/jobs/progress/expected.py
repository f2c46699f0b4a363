"""List the stages of a job with their expected times: rates of the same stages in the owner's earlier jobs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.lists.image_counts import image_count
from app.db.models import Dataset, Job, Json
from worker.jobs.artifacts import output_key
from worker.jobs.attempt import Attempt
from worker.jobs.progress.stage_list import ListedStage, StageList
from worker.jobs.stage import Stage
from worker.jobs.stage_workspace import StageWorkspace

RECENT_JOBS = 50
SIMILAR_SIZE = 10.0  # largest ratio of sizes at which a rate is taken for measured

PER_IMAGE = ("materialise", "extract", "embed_images", "name", "explain", "predictors", "evaluate", "explain_rows")
PER_HEAD_ENTRY = ("isotropic", "matched", "heads", "panel")
"""Stages whose work grows with images, classes and concepts alike."""
ROUGH_SECONDS = {
    "materialise": 5e-4,
    "extract": 1.5e-2,
    "embed_images": 6e-2,
    "libraries": 3e-6,
    "name": 1e-3,
    "isotropic": 3e-7,
    "matched": 3e-7,
    "heads": 3e-7,
    "panel": 1e-7,
    "explain": 1e-3,
    "predictors": 1e-4,
    "explain_rows": 1e-3,
    "represent": 10.0,
    "finetune": 5e-2,
    "evaluate": 2e-2,
}
"""Seconds for one unit of size, of the order of two CPU cores, 1 for other stages. Shares use them until an earlier job has a rate."""


@dataclass(frozen=True)
class _Measured:
    """A stage of an earlier job, on the model of this job or on another one."""

    same_model: bool
    size: float
    seconds: float


def list_stages(attempt: Attempt, *pipelines: tuple[Sequence[Stage], StageWorkspace]) -> None:
    """Store the stages of an attempt's pipelines, in order, with their expected times and those whose outputs are stored."""
    stages = [(stage, workspace) for some, workspace in pipelines for stage in some]
    keys = [output_key(stage.key, name) for stage, _ in stages if stage.stored for name in stage.outputs]
    job = attempt.rows.job
    measured, stored = attempt.write(lambda session: (_measured(session, job), attempt.artifacts.find(session, keys)))
    listed = StageList([_listed(stage, workspace, job, measured) for stage, workspace in stages])
    for stage, workspace in stages:
        if stage.stored and all(output_key(stage.key, name) in stored for name in stage.outputs):
            listed.reuse(workspace.stage_id(stage.name, stage.part))
    attempt.list_stages(listed)


def _listed(stage: Stage, workspace: StageWorkspace, job: Job, measured: dict[str, list[_Measured]]) -> ListedStage:
    size = _size(stage.name, job.spec, workspace.dataset)
    seconds, similar = _expected(measured.get(stage.name, []), size)
    weight = seconds if seconds is not None else ROUGH_SECONDS.get(stage.name, 1.0) * size
    identity = workspace.stage_id(stage.name, stage.part)
    return ListedStage(identity, size, seconds if similar else None, max(weight, 1e-3))


def _expected(measured: Sequence[_Measured], size: float) -> tuple[float | None, bool]:
    """Expected seconds by the rate of the measurement nearest in size, and whether that size is similar."""
    if not measured:
        return None, False
    nearest = min(measured, key=lambda one: (not one.same_model, abs(math.log(size / one.size))))
    return nearest.seconds * size / nearest.size, max(size / nearest.size, nearest.size / size) <= SIMILAR_SIZE


def _measured(session: Session, job: Job) -> dict[str, list[_Measured]]:
    """Stages of the owner's latest jobs that one attempt has computed, by name, the latest first."""
    statement = (
        select(Job.model_id, Job.stages)
        .where(Job.owner_id == job.owner_id, Job.claimed_at.is_not(None), Job.attempt == 1, Job.id != job.id, Job.stages.is_not(None))
        .order_by(Job.claimed_at.desc())
        .limit(RECENT_JOBS)
    )
    found: dict[str, list[_Measured]] = {}
    for model_id, stages in session.execute(statement):
        for stage in stages or ():
            if stage["state"] == "finished" and stage["seconds"] is not None:
                found.setdefault(stage["stage"], []).append(_Measured(model_id == job.model_id, stage["size"], stage["seconds"]))
    return found


def _size(stage: str, spec: Json, dataset: Dataset | None) -> float:
    """Work of a stage: images, images x epochs, images x concepts, or images x classes x concepts; 1 where it depends on none of them."""
    images = 0 if dataset is None else image_count(dataset, spec.get("elements"))
    if stage in PER_IMAGE:
        return max(1.0, images)
    if stage == "finetune":
        return max(1.0, images * spec["epochs"])
    if stage in ("libraries", *PER_HEAD_ENTRY):
        classes = len(((dataset and dataset.info) or {}).get("class_names", ())) or 1
        return max(1.0, images * _concept_count(spec["library"]) * (1 if stage == "libraries" else classes))
    return 1.0


def _concept_count(library: Json) -> int:
    """M as far as the request gives it."""
    return sum(part.get("concept_count") or 100 for part in library.get("parts") or [library])
