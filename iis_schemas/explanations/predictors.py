"""Predictors: the sparse heads of scored jobs as classifiers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.explanations.images import ClassProbability
from iis_schemas.names import QuantityName

_AT = "/v1/predictors/prd_01jz3vc0a2c4e6g8j0m2n4p6r8"
_JOB = "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k"
PREDICTOR_EXAMPLE: dict[str, Any] = {
    "id": "prd_01jz3vc0a2c4e6g8j0m2n4p6r8",
    "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "library": "lib_01jz3vb0a2c4e6g8j0m2n4p6r8",
    "kept": 20,
    "sparsity": 0.9,
    "concept_count": 200,
    "quantity": "accuracy",
    "accuracy": 0.873,
    "arr": 0.941,
    "created_at": "2026-01-12T09:31:12Z",
    "links": {
        "self": _AT,
        "predict": f"{_AT}/predict",
        "safetensors": f"{_AT}/export.safetensors",
        "onnx": f"{_AT}/export.onnx",
        "image.onnx": f"{_AT}/export.image.onnx",
        "job": _JOB,
    },
}


class PredictorView(BaseModel):
    """A head of a scored job on its k strongest concept activations, as a classifier."""

    model_config = ConfigDict(json_schema_extra={"examples": [PREDICTOR_EXAMPLE]})

    id: str
    job: str
    library: str
    kept: int = Field(description="k, concepts that each image keeps")
    sparsity: float
    concept_count: int = Field(description="M")
    quantity: QuantityName = Field(default="accuracy", description="What `accuracy` is; of multi-label data mean average precision")
    accuracy: float = Field(description="On the test images of the job")
    arr: float = Field(description="As a share of the accuracy of the whole representation")
    created_at: datetime
    links: dict[str, str]


class CarryingConcept(BaseModel):
    """A concept with its contribution to a prediction."""

    concept: int
    label: str | None
    activation: float
    contribution: float


class PredictionView(ClassProbability):
    """The prediction for one image, with its concepts, largest contributions first."""

    name: str
    probabilities: list[ClassProbability]
    concepts: list[CarryingConcept]


class PredictionsView(BaseModel):
    """One prediction for each image, in the order in which they were sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "data": [
                        {
                            "name": "owl.jpg",
                            "class": "owl",
                            "index": 3,
                            "probability": 0.94,
                            "probabilities": [{"class": "owl", "index": 3, "probability": 0.94}],
                            "concepts": [{"concept": 17, "label": "large round eyes", "activation": 2.1, "contribution": 1.3}],
                        }
                    ],
                    "links": {"predictor": _AT},
                }
            ]
        }
    )

    data: list[PredictionView]
    links: dict[str, str]
