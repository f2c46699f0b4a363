"""Fine-tuning: validation of requests, and the view of a result."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.datasets.multi_label import require_single_label
from app.datasets.repository import DatasetRepository
from app.db.ids import new_id
from app.db.models import Dataset, Job, Model
from app.descriptions import description_columns
from app.errors import InvalidInput
from app.finetuning.repository import FinetuneRepository
from app.jobs.service import accept
from app.models.repository import ModelRepository
from app.settings import Settings
from app.validation import require_ready
from iis_schemas.architectures import is_on_hub
from iis_schemas.jobs.finetuning import FinetuneCreate
from iis_schemas.names import FILE_FAMILIES
from iis_schemas.results.finetuning import FinetuneView


def create_finetune(session: Session, owner_id: str, request: FinetuneCreate, settings: Settings, request_id: str | None) -> Job:
    """Accept a job of kind finetune.

    Raises
    ------
    NotFound
        When the owner has no such model or data set.
    Conflict
        While one of them is still being checked.
    InvalidInput
        When one of them failed its check, or the model cannot be trained, or the data set has no images.
    """
    # Locked, so that neither is deleted before the commit.
    dataset = DatasetRepository(session, owner_id).hold(request.dataset)
    model = ModelRepository(session, owner_id).hold(request.model)
    _require_trainable(model)
    _require_images(dataset)
    require_ready(model, "model")
    require_ready(dataset, "dataset")
    require_single_label(dataset, "Fine-tuning", "dataset")
    job = Job(
        id=new_id("job"),
        owner_id=owner_id,
        kind=request.kind,
        spec=request.to_spec(),
        name=request.name,
        **description_columns(request),
        model_id=request.model,
        dataset_id=request.dataset,
        attempt=0,
        request_id=request_id,
        deadline_seconds=request.deadline_seconds or settings.job_deadline_seconds,
    )
    return accept(session, job, settings)


def show_finetune(session: Session, owner_id: str, job: Job) -> FinetuneView:
    """The result of a fine-tuning job that has succeeded."""
    result = FinetuneRepository(session, owner_id).of_job(job.id)
    at, model = f"/v1/jobs/{job.id}", f"/v1/models/{result.model_id}"
    links = {"self": f"{at}/result", "job": at, "model": model, "checkpoint": f"{model}/checkpoint", "parent": f"/v1/models/{job.model_id}"}
    return FinetuneView.model_validate(
        {**result.findings, "job": job.id, "model": result.model_id, "created_at": result.created_at, "links": links}
    )


def _require_trainable(model: Model) -> None:
    if model.role == "vlm":
        raise InvalidInput(
            f"Model {model.id} is a vision-language model, which is not fine-tuned here; register its image tower as a backbone:"
            " the same architecture and checkpoint with role backbone.",
            code="backbone_needed",
            param="model",
        )
    if model.architecture in FILE_FAMILIES or is_on_hub(model.architecture):
        noun = "a repository" if is_on_hub(model.architecture) else "a file"
        raise InvalidInput(
            f"Model {model.id} is {noun} of {model.architecture}, which cannot be trained here; register the network"
            " by its architecture (timm:NAME, torchvision:NAME or open_clip:NAME) with its checkpoint.",
            code="model_not_trainable",
            param="model",
        )


def _require_images(dataset: Dataset) -> None:
    if dataset.kind == "features":
        raise InvalidInput(
            f"Data set {dataset.id} holds ready features, and fine-tuning needs images; give a data set of images.",
            code="images_needed",
            param="dataset",
        )
