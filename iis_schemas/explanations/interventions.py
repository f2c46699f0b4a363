"""Interventions: changes to the concepts of an image, and the new prediction."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.explanations.images import AT, CLASS_EXAMPLE, ClassRef, HeadPrediction
from iis_schemas.numbers import Integer, Number

MAX_CHANGES = 1000

Count = Annotated[Integer, Field(ge=0)]


class SetConcept(BaseModel):
    model_config = ConfigDict(extra="forbid")

    concept: Count
    activation: Number


class ScaleConcept(BaseModel):
    model_config = ConfigDict(extra="forbid")

    concept: Count
    factor: Number


class InterventionRequest(BaseModel):
    """Changes to the kept activations; at most 1,000 in all. A concept that is not kept has activation 0 and can be set."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"kept": 20, "suppress": [17], "scale": [{"concept": 4, "factor": 2}], "set": []}]},
    )

    kept: Integer | None = None
    sparsity: Number | None = None
    set: list[SetConcept] = Field(default_factory=list[SetConcept], max_length=MAX_CHANGES)
    scale: list[ScaleConcept] = Field(default_factory=list[ScaleConcept], max_length=MAX_CHANGES)
    suppress: list[Count] = Field(default_factory=list[int], max_length=MAX_CHANGES)


class ChangedProbability(ClassRef):
    before: float
    after: float


class ChangedActivation(BaseModel):
    concept: Integer
    before: float
    after: float


class InterventionView(BaseModel):
    """The prediction before and after."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kept": 20,
                    "sparsity": 0.9,
                    "before": {**CLASS_EXAMPLE, "top": [CLASS_EXAMPLE]},
                    "after": {"class": "2", "index": 2, "probability": 0.5, "top": [{"class": "2", "index": 2, "probability": 0.5}]},
                    "changed": True,
                    "probabilities": [{"class": "3", "index": 3, "before": 0.94, "after": 0.4}],
                    "activations": [{"concept": 17, "before": 2.1, "after": 0.0}],
                    "links": {"explanation": f"{AT}/explanations/17"},
                }
            ]
        }
    )

    kept: int
    sparsity: float
    before: HeadPrediction
    after: HeadPrediction
    changed: bool = Field(description="Whether another class is predicted")
    probabilities: list[ChangedProbability]
    activations: list[ChangedActivation]
    links: dict[str, str]
