"""Models as answers show them."""

from __future__ import annotations

from app.db.models import Model
from app.descriptions import described_fields
from iis_schemas.models import ModelView


def view_of(model: Model) -> ModelView:
    """The view of a row."""
    links = {"self": f"/v1/models/{model.id}"}
    for name, upload_id in (("upload", model.upload_id), ("text_upload", model.text_upload_id)):
        if upload_id is not None:
            links[name] = f"/v1/uploads/{upload_id}"
    if model.upload_id is not None:
        links["checkpoint"] = f"/v1/models/{model.id}/checkpoint"
    if model.lineage is not None:
        links |= {"parent": f"/v1/models/{model.lineage['parent']}", "job": f"/v1/jobs/{model.lineage['job']}"}
    other = ("upload", "text_upload", "metadata", "links")
    own = {name: getattr(model, name) for name in ModelView.model_fields if name not in other}
    return ModelView.model_validate(
        {**own, **described_fields(model), "upload": model.upload_id, "text_upload": model.text_upload_id, "links": links}
    )
