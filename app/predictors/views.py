"""Predictors as answers show them."""

from __future__ import annotations

from app.db.models import ConceptLibrary, Predictor
from iis_schemas.explanations.predictors import PredictorView
from iis_schemas.names import QuantityName

PATH = "/v1/predictors"


def view_of(row: Predictor, library: ConceptLibrary, quantity: QuantityName) -> PredictorView:
    """The view of a row."""
    at = f"{PATH}/{row.id}"
    exports = {name: f"{at}/export.{name}" for name in ("safetensors", "onnx", "image.onnx")}
    return PredictorView(
        id=row.id,
        job=row.job_id,
        library=library.id,
        kept=row.kept,
        sparsity=row.sparsity,
        concept_count=library.concept_count,
        quantity=quantity,
        accuracy=row.accuracy,
        arr=row.arr,
        created_at=row.created_at,
        links={"self": at, "predict": f"{at}/predict", **exports, "job": f"/v1/jobs/{row.job_id}"},
    )
