"""The rules of models: what one is made of, and when it may go. Whether the weights fit is found out by a worker."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.checks import RETRY_AFTER_SECONDS, enqueue_check
from app.db.ids import new_id
from app.db.models import INTERNAL_JOB_KINDS, Model
from app.errors import Conflict, InvalidInput
from app.models.repository import ModelRepository
from app.models.schemas import ModelCreate
from app.settings import Settings
from app.uploads.service import require_complete


def create_model(session: Session, owner_id: str, request: ModelCreate, settings: Settings, request_id: str | None) -> Model:
    """Add a pending model together with the job that checks it.

    Raises
    ------
    NotFound, Conflict
        When the upload is not this owner's, or not complete.
    InvalidInput
        When this service does not fetch weights by name.
    """
    if request.pretrained is not None and not settings.allow_hub:
        raise InvalidInput(
            "This service does not fetch weights by name; upload the checkpoint.", code="hub_not_allowed", param="pretrained"
        )
    upload = require_complete(session, owner_id, request.upload) if request.upload is not None else None
    model = Model(
        id=new_id("model"),
        owner_id=owner_id,
        name=request.name or (upload.filename if upload is not None else request.architecture),
        architecture=request.architecture,
        arguments=dict(request.arguments),
        upload_id=request.upload,
        pretrained=request.pretrained,
        layer=request.layer,
        preprocessing=request.preprocessing.model_dump(exclude_none=True) if request.preprocessing is not None else None,
        state="pending",
    )
    ModelRepository(session, owner_id).add(model)
    enqueue_check(session, model, owner_id, settings, request_id)
    return model


def delete_model(session: Session, owner_id: str, model_id: str) -> None:
    """Take a model away from its owner; results of finished jobs stay readable.

    Raises
    ------
    Conflict
        While a job that needs it, or its check, has not finished.
    """
    models = ModelRepository(session, owner_id)
    model = models.get(model_id, for_update=True)
    job = models.unfinished_job(model)
    if job is not None and job.kind in INTERNAL_JOB_KINDS:
        raise Conflict(
            f"Model {model_id} is being checked; delete it afterwards.", code="model_in_use", retry_after_seconds=RETRY_AFTER_SECONDS
        )
    if job is not None:
        raise Conflict(f"Job {job.id} still needs model {model_id}; cancel the job or wait for its end.", code="model_in_use")
    model.deleted_at = datetime.now(UTC)
    session.flush()
