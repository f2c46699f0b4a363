"""Layers of one network that queued jobs wait for: the job that extracts features first does so for all of them in one pass."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from app.db.models import Job, Json, Model, Upload
from worker.jobs.artifacts import output_key
from worker.jobs.attempt import Attempt
from worker.jobs.feature_keys import features_key
from worker.jobs.model_checks import checked_model
from worker.jobs.score_request import ScoreRequest
from worker.jobs.stage import Stage
from worker.sandbox.outcomes import StageRefused
from worker.stages.files import FEATURES

_LAYERS_MAX = 64
"""Layers of one pass, whose features are in memory together."""
_POLL_SECONDS = 1.0
_UP_TO_EXTRACTION = ("check_model", "materialise", "extract")


def with_awaited_layers(attempt: Attempt, request: ScoreRequest, stages: list[Stage]) -> list[Stage]:
    """The stages, of which `extract` also writes the features of the layers that queued jobs on the same images wait for.

    Where another worker extracts them in such a pass already, this waits for its end.
    """
    model = request.model
    if model is None or model.layer is None:
        return stages
    elements = request.spec["elements"]

    def key_of(one: Model) -> str:
        return output_key(features_key(one, request.dataset, elements), FEATURES)

    while attempt.write(lambda session: _is_in_a_pass(attempt, session, model, key_of(model))):
        attempt.stop.event.wait(_POLL_SECONDS)
    wanted, keys = list[Json](), dict[str, str]()
    for other in attempt.write(lambda session: _awaited(session, attempt.rows.job, model)):
        with suppress(StageRefused):  # its own job fails with the reason
            ready, file = checked_model(attempt, other), f"layer-{len(wanted)}.{FEATURES}"
            key = key_of(ready)
            if not attempt.write(lambda session, key=key: attempt.artifacts.find(session, [key])):
                keys[file] = key
                wanted.append({"layer": ready.layer, "pooling": ready.pooling, "digest": ready.digest, "file": file})
    if not wanted:
        return stages
    return [
        replace(stage, arguments=stage.arguments | {"layers": wanted}, for_others=keys) if stage.name == "extract" else stage
        for stage in stages
    ]


def _is_in_a_pass(attempt: Attempt, session: Session, model: Model, key: str) -> bool:
    """Whether a running job that was claimed after this one was queued, and before it was claimed, still extracts this layer too."""
    job = session.get_one(Job, attempt.job_id)
    if attempt.artifacts.find(session, [key]):
        return False
    extracting = (
        *_on_same_images(job),
        Job.state == "running",
        Job.claimed_at < job.claimed_at,
        Job.claimed_at > job.queued_at,
        func.coalesce(Job.progress["stage"].astext, "extract").in_(_UP_TO_EXTRACTION),
    )
    return bool(_same_network(session, model, select(Job.model_id).where(*extracting)))


def _awaited(session: Session, job: Job, model: Model) -> list[Model]:
    """Models of queued score jobs on the same images and elements that are the same network at other layers."""
    return _same_network(session, model, select(Job.model_id).where(*_on_same_images(job), Job.state == "queued"))[:_LAYERS_MAX]


def _on_same_images(job: Job) -> tuple[ColumnElement[bool], ...]:
    same_images = Job.dataset_id == job.dataset_id, Job.spec["elements"] == job.spec["elements"]
    return Job.owner_id == job.owner_id, Job.kind == "score", *same_images


def _same_network(session: Session, model: Model, ids: Select[str | None]) -> list[Model]:
    """Models among these ids that are the network of `model` at other named layers."""
    alike = (
        select(Model, Upload.sha256)
        .outerjoin(Upload, Upload.id == Model.upload_id)
        .where(
            Model.id.in_(ids),
            Model.id != model.id,
            Model.architecture == model.architecture,
            Model.layer.is_not(None),
            or_(Model.state == "ready", and_(Model.state == "pending", Model.upload_id.is_not_distinct_from(model.upload_id))),
        )
    )
    weights = session.scalar(select(Upload.sha256).where(Upload.id == model.upload_id))
    rows = session.execute(alike.order_by(Model.id)).all()
    return [other for other, sha256 in rows if (sha256, *_network(other)) == (weights, *_network(model))]


def _network(model: Model) -> tuple[object, ...]:
    """Everything about a model but its name, its upload and its layer."""
    return model.pretrained, model.weights_of, model.initial_seed, model.arguments, model.preprocessing
