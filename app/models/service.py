"""Models: registration, checkpoints and deletion. The weights are checked by a worker."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.db.ids import new_id
from app.db.lists.registration import lock_registration
from app.db.models import Model, Upload
from app.descriptions import describe, description_columns
from app.errors import Conflict, InvalidInput
from app.models.repository import ModelRepository
from app.settings import Settings
from app.uploads.repository import UploadRepository
from app.uploads.service import require_complete
from app.validation import cancel_validations, enqueue_check, require_ready, require_unneeded, uses_view
from iis_schemas.descriptions import MAX_NAME_CHARACTERS, DescriptionUpdate
from iis_schemas.models import ModelCreate
from iis_schemas.uses import UsesView


def create_model(session: Session, owner_id: str, request: ModelCreate, settings: Settings, request_id: str | None) -> tuple[Model, bool]:
    """Add a pending model together with the job that checks it, or find the model of the same content with the same settings.

    Returns
    -------
    The model, and whether it is new.

    Raises
    ------
    NotFound, Conflict
        When an upload is not this owner's, or not complete.
    InvalidInput
        When this service does not fetch weights by name.
    """
    if request.pretrained is not None and not settings.allow_hub:
        raise InvalidInput(
            "This service does not fetch weights by name; upload the checkpoint.", code="hub_not_allowed", param="pretrained"
        )
    upload = require_complete(session, owner_id, request.upload) if request.upload is not None else None
    if request.text_upload is not None:
        require_complete(session, owner_id, request.text_upload, param="text_upload")
    model = Model(
        id=new_id("model"),
        owner_id=owner_id,
        name=request.name or _default_name(request, upload.filename if upload is not None else None)[:MAX_NAME_CHARACTERS],
        role=request.role,
        architecture=request.architecture,
        arguments=dict(request.arguments),
        upload_id=request.upload,
        text_upload_id=request.text_upload,
        tokenizer=request.tokenizer,
        pretrained=request.pretrained,
        weights_of=request.weights_of,
        initial_seed=request.initial_seed,
        layer=request.layer,
        pooling=request.pooling,
        preprocessing=request.preprocessing.model_dump(exclude_none=True) if request.preprocessing is not None else None,
        state="pending",
        **description_columns(request),
    )
    models = ModelRepository(session, owner_id)
    lock_registration(session, owner_id)
    if (known := models.same(model)) is not None:
        return known, False
    models.add(model)
    enqueue_check(session, model, owner_id, settings, request_id)
    return model, True


def update_model(session: Session, owner_id: str, model_id: str, changes: DescriptionUpdate) -> Model:
    """Change the description of a model.

    Raises
    ------
    NotFound
    InvalidInput
        As `describe` does.
    """
    model = ModelRepository(session, owner_id).get(model_id, for_update=True)
    describe(model, changes)
    session.flush()
    return model


def ready_vlm(session: Session, owner_id: str, model_id: str) -> Model:
    """The vision-language model that a request names as `vlm`, locked until the commit.

    Raises
    ------
    NotFound, Conflict
        When the owner has no such model, or it is still being checked.
    InvalidInput
        When it was refused, or is a backbone.
    """
    model = ModelRepository(session, owner_id).hold(model_id)
    if model.role != "vlm":
        raise InvalidInput(
            f"Model {model_id} is a backbone, which has no text tower; register a vision-language model with role vlm and name it instead.",
            code="vlm_needed",
            param="vlm",
        )
    require_ready(model, "vlm")
    return model


def checkpoint_of(session: Session, owner_id: str, model_id: str) -> Upload:
    """The file with a model's weights.

    Raises
    ------
    NotFound
        When the owner has no such model.
    Conflict
        When its weights are fetched by name, so that there is no file of them here.
    """
    model = ModelRepository(session, owner_id).get(model_id)
    if model.upload_id is None:
        if model.initial_seed is not None:
            whence = f"is untrained ({model.architecture}, initialised from seed {model.initial_seed}), so there is no file of its weights"
            advice = "register it with the same initial_seed to have it again"
        else:
            whence = f"takes its weights by name ({model.architecture}, {model.pretrained}), so there is no file of them here"
            advice = "fetch them from where they are published"
        raise Conflict(f"Model {model_id} {whence}; {advice}.", code="no_checkpoint")
    return UploadRepository(session, owner_id).get(model.upload_id)


def model_uses(session: Session, owner_id: str, model_id: str) -> UsesView:
    """What uses a model.

    Raises
    ------
    NotFound
    """
    models = ModelRepository(session, owner_id)
    model = models.get(model_id)
    return uses_view(models.uses(model), models.unfinished_job(model), f"/v1/models/{model_id}")


def delete_model(session: Session, owner_id: str, model_id: str) -> None:
    """Delete a model, cancel its validation and release its files; results of finished jobs stay readable.

    Raises
    ------
    Conflict
        While a job that needs it has not finished.
    """
    models = ModelRepository(session, owner_id)
    cancel_validations(session, models.validations(models.get(model_id)))
    model = models.get(model_id, for_update=True)
    require_unneeded(model, models.unfinished_job(model), "model_in_use")
    model.deleted_at = datetime.now(UTC)
    model.upload_id = model.text_upload_id = None
    session.flush()


def _default_name(request: ModelCreate, filename: str | None) -> str:
    if filename is not None:
        return filename
    return request.architecture if request.initial_seed is None else f"{request.architecture}, untrained (seed {request.initial_seed})"
