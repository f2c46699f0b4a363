"""Answers of explain jobs: one row for each image, and a summary. The files of rows have the same fields."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

AT = "/v1/jobs/job_01jz3w0b2c4d6e8f0g2h4j6k8m"
SCORED = "job_01jz3v9a1b3c5d7e9f1g3h5j7k"
ROW_EXAMPLE: dict[str, Any] = {
    "index": 17,
    "name": "test/3/0007.png",
    "label": "3",
    "error": None,
    "representation": "3",
    "representation_probability": 0.97,
    "interpretation": "3",
    "interpretation_probability": 0.94,
    "agree": True,
    "representation_correct": True,
    "interpretation_correct": True,
    "contrast": None,
    "logit": 3.2,
    "bias": 0.1,
    "concepts": [{"concept": 17, "label": "a curved stroke", "origin": "cluster", "activation": 2.1, "contribution": 1.3}],
    "remainder": 1.8,
    "remaining": 19,
    "counterfactual": {
        "removed": [{"concept": 17, "label": "a curved stroke", "contribution": 1.3}],
        "class": "2",
        "probability": 0.5,
    },
}


class RowConcept(BaseModel):
    """A concept's share in a row's prediction."""

    concept: int = Field(description="Its index in the job's concept library")
    label: str | None = Field(description="Its phrase, or the name that was found for it")
    origin: str
    activation: float
    contribution: float = Field(description="Weight times activation; positive ones support the class of the interpretation")


class RowRemoved(BaseModel):
    concept: int
    label: str | None
    contribution: float


class RowCounterfactual(BaseModel):
    """The smallest set of concepts whose removal changes the predicted class, and the new class."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    removed: list[RowRemoved]
    class_: str = Field(alias="class")
    probability: float


class ExplainedRow(BaseModel):
    """The contributions of concepts to the prediction for one image.

    The contributions of `concepts` together with `remainder` and `bias` are `logit`: the centred logit of the class of the interpretation
    or, with a contrast, how far it is ahead. An image that could not be read has an `error` and nothing else but its index and name.
    Numbers are those of the image's own explanation; curves of deletion and sufficiency, which take far longer than all else, are in that
    alone.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [ROW_EXAMPLE]})

    index: int = Field(description="Place in the test set, or in the archive's images in the order of their names")
    name: str | None
    label: str | None = Field(description="True class, where it is known")
    error: str | None = Field(description="Why the image could not be read")
    representation: str | None = Field(description="The class that the linear head on the whole representation predicts")
    representation_probability: float | None
    interpretation: str | None = Field(description="The class that the head on the kept concepts predicts; this is what is explained")
    interpretation_probability: float | None
    agree: bool | None
    representation_correct: bool | None
    interpretation_correct: bool | None
    contrast: str | None = Field(description="The class that the prediction is explained against; null where it is the predicted class")
    logit: float | None
    bias: float | None
    concepts: list[RowConcept] = Field(description="Up to `top` for and as many against, largest contributions first")
    remainder: float | None = Field(description="Sum of the contributions that are not listed")
    remaining: int | None = Field(description="Their number")
    counterfactual: RowCounterfactual | None = Field(description="Null where no removal changes the prediction")


class BatchSummary(BaseModel):
    """Summary of all rows."""

    count: int = Field(description="Rows")
    failed: int = Field(description="Rows of images that could not be read")
    ignored: int = Field(description="Files of the archive that are not images; they have no row")
    ignored_names: list[str] = Field(description="The first of these files")
    agreement: float = Field(description="Share of the readable images for which interpretation and representation predict the same class")
    accuracy_representation: float | None = Field(description="Null where the true classes are not known")
    accuracy_interpretation: float | None


BATCH_EXAMPLE: dict[str, Any] = {
    "kind": "explain",
    "job": "job_01jz3w0b2c4d6e8f0g2h4j6k8m",
    "explained": SCORED,
    "library": "lib_01jz3vb0a2c4e6g8j0m2n4p6r8",
    "kept": 20,
    "sparsity": 0.9,
    "summary": {
        "count": 359,
        "failed": 0,
        "ignored": 0,
        "ignored_names": [],
        "agreement": 0.93,
        "accuracy_representation": 0.928,
        "accuracy_interpretation": 0.891,
    },
    "created_at": "2026-01-12T09:35:12Z",
    "links": {
        "self": f"{AT}/result",
        "job": AT,
        "rows": f"{AT}/rows",
        "rows.jsonl": f"{AT}/rows.jsonl",
        "rows.parquet": f"{AT}/rows.parquet",
        "explained": f"/v1/jobs/{SCORED}",
        "library": "/v1/concept-libraries/lib_01jz3vb0a2c4e6g8j0m2n4p6r8",
    },
}


class BatchView(BaseModel):
    """The result of an explain job, with links to its rows."""

    model_config = ConfigDict(json_schema_extra={"examples": [BATCH_EXAMPLE]})

    kind: Literal["explain"] = "explain"
    job: str
    explained: str = Field(description="The scored job")
    library: str = Field(description="The concept library that the indexes of concepts refer to")
    kept: int
    sparsity: float
    summary: BatchSummary
    created_at: datetime
    links: dict[str, str]
