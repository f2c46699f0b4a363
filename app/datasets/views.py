"""Data sets as answers show them."""

from __future__ import annotations

from app.db.models import Dataset, Json
from app.descriptions import described_fields
from iis_schemas.datasets import DatasetView


def view_of(dataset: Dataset) -> DatasetView:
    """The view of a row."""
    return view_with(dataset, dataset.info)


def view_with(dataset: Dataset, info: Json | None) -> DatasetView:
    """The view of a row whose `info` is not loaded."""
    links = {"self": f"/v1/datasets/{dataset.id}"}
    if dataset.upload_id is not None:
        links["upload"] = f"/v1/uploads/{dataset.upload_id}"
    own = {name: getattr(dataset, name) for name in DatasetView.model_fields if name not in ("upload", "info", "metadata", "links")}
    return DatasetView.model_validate({**own, **described_fields(dataset), "upload": dataset.upload_id, "info": info, "links": links})
