"""Data sets as answers show them."""

from __future__ import annotations

from app.db.models import Dataset
from iis_schemas.datasets import DatasetView


def view_of(dataset: Dataset) -> DatasetView:
    """The view of a row."""
    links = {"self": f"/v1/datasets/{dataset.id}"}
    if dataset.upload_id is not None:
        links["upload"] = f"/v1/uploads/{dataset.upload_id}"
    own = {name: getattr(dataset, name) for name in DatasetView.model_fields if name not in ("upload", "links")}
    return DatasetView.model_validate({**own, "upload": dataset.upload_id, "links": links})
