"""Data sets: registration and deletion. Their content is checked by a worker."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.orm import Session

from app.datasets.repository import DatasetRepository
from app.db.ids import new_id
from app.db.lists.registration import lock_registration
from app.db.models import Dataset
from app.descriptions import describe, description_columns
from app.errors import InvalidInput
from app.settings import Settings
from app.storage.server_folders import require_allowed
from app.uploads.service import require_complete
from app.validation import cancel_validations, enqueue_check, require_unneeded, uses_view
from iis_schemas.datasets import DatasetCreate
from iis_schemas.descriptions import MAX_NAME_CHARACTERS, DescriptionUpdate
from iis_schemas.uses import UsesView


def create_dataset(
    session: Session, owner_id: str, request: DatasetCreate, settings: Settings, request_id: str | None
) -> tuple[Dataset, bool]:
    """Add a pending data set together with the job that checks it, or find the one of the same content with the same settings.

    Returns
    -------
    The data set, and whether it is new.

    Raises
    ------
    NotFound, Conflict
        When the upload is not this owner's, or not complete.
    InvalidInput
        For a server path outside the allowed folders and prefixes, or a Hub data set where the Hub is not allowed.
    """
    if request.hub is not None and not settings.allow_hub:
        raise InvalidInput("This service does not fetch data sets from the Hub; upload an archive.", code="hub_not_allowed", param="hub")
    upload = require_complete(session, owner_id, request.upload) if request.upload is not None else None
    manifest = request.manifest
    if manifest is not None and manifest.upload is not None:
        require_complete(session, owner_id, manifest.upload, param="manifest.upload")
    if request.server_path is not None:
        require_allowed(request.server_path, settings)
    dataset = Dataset(
        id=new_id("dataset"),
        owner_id=owner_id,
        name=request.name or _default_name(upload.filename if upload else None, request)[:MAX_NAME_CHARACTERS],
        kind=request.kind,
        upload_id=request.upload,
        server_path=request.server_path,  # as it was given, so that the same path is found again
        hub=request.hub.model_dump(exclude_none=True) if request.hub is not None else None,
        manifest=manifest.model_dump(exclude_none=True) if manifest is not None else None,
        manifest_upload_id=manifest.upload if manifest is not None else None,
        split_seed=request.split_seed,
        test_share=request.test_share,
        state="pending",
        **description_columns(request),
    )
    datasets = DatasetRepository(session, owner_id)
    lock_registration(session, owner_id)
    if (known := datasets.same(dataset)) is not None:
        return known, False
    datasets.add(dataset)
    enqueue_check(session, dataset, owner_id, settings, request_id)
    return dataset, True


def update_dataset(session: Session, owner_id: str, dataset_id: str, changes: DescriptionUpdate) -> Dataset:
    """Change the description of a data set.

    Raises
    ------
    NotFound
    InvalidInput
        As `describe` does.
    """
    dataset = DatasetRepository(session, owner_id).get(dataset_id, for_update=True)
    describe(dataset, changes)
    session.flush()
    return dataset


def dataset_uses(session: Session, owner_id: str, dataset_id: str) -> UsesView:
    """What uses a data set.

    Raises
    ------
    NotFound
    """
    datasets = DatasetRepository(session, owner_id)
    dataset = datasets.get(dataset_id)
    return uses_view(datasets.uses(dataset), datasets.unfinished_job(dataset), f"/v1/datasets/{dataset_id}")


def delete_dataset(session: Session, owner_id: str, dataset_id: str) -> None:
    """Delete a data set, cancel its validation and release its file; results of finished jobs stay readable.

    Raises
    ------
    Conflict
        While a job that needs it has not finished.
    """
    datasets = DatasetRepository(session, owner_id)
    cancel_validations(session, datasets.validations(datasets.get(dataset_id)))
    dataset = datasets.get(dataset_id, for_update=True)
    require_unneeded(dataset, datasets.unfinished_job(dataset), "dataset_in_use")
    dataset.deleted_at = datetime.now(UTC)
    dataset.upload_id = dataset.manifest_upload_id = None
    session.flush()


def _default_name(filename: str | None, request: DatasetCreate) -> str:
    if filename is not None:
        return filename
    if request.server_path is not None:
        return Path(request.server_path).name or request.server_path
    return request.hub.name if request.hub is not None else request.kind
