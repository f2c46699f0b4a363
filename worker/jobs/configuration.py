"""The inputs of a score as its report states them: networks with their weights and preprocessing, data sets, and phrases."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.db.models import Dataset, Job, Json, Model, Upload


def inputs_of(session: Session, job: Job) -> Json:
    """Everything about the inputs of a score job that its numbers depend on, for `configuration` of the report."""
    found: Json = {"dataset": _dataset(session, session.get_one(Dataset, job.dataset_id))}
    if job.model_id is not None:
        found["model"] = _model(session, session.get_one(Model, job.model_id))
    if job.library_dataset_id is not None:
        found["library_dataset"] = _dataset(session, session.get_one(Dataset, job.library_dataset_id))
    if job.vlm_id is not None:
        found["vision_language_model"] = _model(session, session.get_one(Model, job.vlm_id))
    if (vocabulary := job.spec.get("vocabulary")) is not None:
        found["vocabulary"] = vocabulary
    return found


def notes_of_vision_language_model(session: Session, job: Job) -> list[str]:
    """What was assumed, chosen, converted or left out while the vision-language model of a job was read, one sentence each."""
    model = session.get(Model, job.vlm_id) if job.vlm_id is not None else None
    notes: list[str] = (model.info or {}).get("notes", []) if model is not None else []
    return [f"Vision-language model: {note}" for note in notes]


def _model(session: Session, model: Model) -> Json:
    info = model.info or {}
    found = {
        "id": model.id,
        "architecture": model.architecture,
        "arguments": model.arguments or None,
        "layer": model.layer,
        "pooling": model.pooling,
        "pretrained": model.pretrained,
        "weights_of": model.weights_of,
        "initial_seed": model.initial_seed,
        "weights_sha256": _sha256(session, model.upload_id),
        "text_weights_sha256": _sha256(session, model.text_upload_id),
        "tokenizer": model.tokenizer,
        "preprocessing": info.get("preprocessing") or info.get("image_tower", {}).get("preprocessing"),
        "digest": model.digest,
    }
    return {name: value for name, value in found.items() if value is not None}


def _dataset(session: Session, dataset: Dataset) -> Json:
    found = {
        "id": dataset.id,
        "kind": dataset.kind,
        "content_sha256": _sha256(session, dataset.upload_id),
        "server_path": dataset.server_path,
        "hub": dataset.hub,
        "split_seed": dataset.split_seed,
        "test_share": dataset.test_share,
        "digest": dataset.digest,
    }
    return {name: value for name, value in found.items() if value is not None}


def _sha256(session: Session, upload_id: str | None) -> str | None:
    upload = session.get(Upload, upload_id) if upload_id is not None else None
    return None if upload is None else upload.sha256
