"""Predictors: look-up, requirements of predictions, and export formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.db.models import Job, Model
from app.errors import Conflict, InvalidInput, NotFound
from app.explanations.concept_fields import ConceptNames, concepts_in
from app.predictors.repository import PredictorRepository
from app.predictors.views import PATH, view_of
from iis_schemas.explanations.predictors import PredictionsView, PredictorView

MAX_IMAGES = 64
NETWORK_FORMAT = "image.onnx"
EXPORT_FORMATS = ("safetensors", "onnx", NETWORK_FORMAT)


@dataclass(frozen=True)
class Found:
    """A predictor with the fields that queries need."""

    view: PredictorView
    has_network: bool
    concept_names: list[str | None]

    @property
    def about(self) -> dict[str, Any]:
        """The arguments of a query about it."""
        return {"job": self.view.job, "kept": self.view.kept}


def list_predictors(session: Session, owner_id: str, *, job: str | None, after: str | None, limit: int) -> list[PredictorView]:
    """Predictors newest first, one more than `limit`."""
    predictors = PredictorRepository(session, owner_id)
    rows = predictors.page(job=job, after=after, limit=limit)
    scores = predictors.scores_of([row.job_id for row in rows])
    return [view_of(row, *scores[row.job_id]) for row in rows]


def find_predictor(session: Session, owner_id: str, predictor_id: str) -> Found:
    """One predictor.

    Raises
    ------
    NotFound
        When the owner has no such predictor.
    """
    predictors = PredictorRepository(session, owner_id)
    row = predictors.get(predictor_id)
    library, quantity = predictors.scores_of([row.job_id])[row.job_id]
    model_id = session.get_one(Job, row.job_id).model_id
    model = None if model_id is None else session.get_one(Model, model_id)
    has_network = model is not None and model.deleted_at is None
    return Found(view_of(row, library, quantity), has_network, predictors.concept_names(library.id))


def require_predictable(found: Found, images: int) -> None:
    """Refuse images that a predictor cannot read.

    Raises
    ------
    Conflict
        When it belongs to ready features, and so to no network, or its network was deleted.
    InvalidInput
        For too many images.
    """
    if not found.has_network:
        reason = "was fitted to ready features, or its model was deleted, so no network reads images for it"
        message = f"Predictor {found.view.id} {reason}; export it and use your own."
        raise Conflict(message, code="no_images")
    if images > MAX_IMAGES:
        raise InvalidInput(f"{images} images were sent; {MAX_IMAGES} at once are allowed.", param="file")


def export_format(name: str, found: Found) -> str:
    """The format of an export of a predictor; `image.onnx` is that of network and predictor together.

    Raises
    ------
    NotFound
        When there is no such format.
    Conflict
        When the predictor has no network to export with it.
    """
    if name not in EXPORT_FORMATS:
        raise NotFound(f"There is no export format {name[:40]}; the formats are {', '.join(EXPORT_FORMATS)}.")
    if name == NETWORK_FORMAT:
        require_predictable(found, images=1)
    return name


def predictions_view(session: Session, owner_id: str, found: Found, filenames: Sequence[str], answer: dict[str, Any]) -> PredictionsView:
    """A worker's predictions with the names of images and concepts."""
    indexes = [concept for one in answer["data"] for concept in concepts_in(one, "concepts")]
    names = ConceptNames(session, owner_id, found.view.library, indexes)
    data = [
        one | {"name": filename, "concepts": [share | {"label": names.label(share["concept"])} for share in one["concepts"]]}
        for filename, one in zip(filenames, answer["data"], strict=True)
    ]
    links = {"predictor": f"{PATH}/{found.view.id}", "job": f"/v1/jobs/{found.view.job}"}
    return PredictionsView.model_validate({"data": data, "links": links})
