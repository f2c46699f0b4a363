"""Wire types of a finished job's result."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from app.batches.schemas import BATCH_EXAMPLE, BatchView
from app.finetuning.schemas import FINETUNE_EXAMPLE, FinetuneView

_POINT = {
    "sparsity": 0.9,
    "kept": 20,
    "accuracy": 0.873,
    "accuracy_low": 0.851,
    "accuracy_high": 0.893,
    "arr": 0.941,
    "arr_low": 0.92,
    "arr_high": 0.96,
}
RESULT_EXAMPLE: dict[str, Any] = {
    "kind": "score",
    "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "library": "lib_01jz3vb0a2c4e6g8j0m2n4p6r8",
    "report": {
        "accuracy_representation": 0.928,
        "accuracy_representation_low": 0.911,
        "accuracy_representation_high": 0.945,
        "points": [{**_POINT, "arr_chance_corrected": 0.934}],
        "iis": 0.921,
        "iis_low": 0.909,
        "iis_high": 0.933,
        "iis_random_mean": 0.842,
        "iis_random_sd": 0.006,
        "concept_gain": 0.079,
        "library": {"kind": "cluster", "concept_count": 200},
        "protocol": "exact",
        "optimistic": False,
        "warnings": [],
    },
    "created_at": "2026-01-12T09:31:12Z",
    "links": {
        "self": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/result",
        "job": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k",
        "curves": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/curves",
        "plots": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/plots",
        "library": "/v1/concept-libraries/lib_01jz3vb0a2c4e6g8j0m2n4p6r8",
    },
}


class ResultView(BaseModel):
    """What a finished job found: the engine's report as it was written, and where its parts are."""

    model_config = ConfigDict(json_schema_extra={"examples": [RESULT_EXAMPLE]})

    kind: Literal["score"] = "score"
    job: str
    library: str | None = Field(description="The concept library the representation was read through")
    report: dict[str, Any] = Field(description="Accuracies, points of the curve, IIS with its interval, random control, warnings")
    created_at: datetime
    links: dict[str, str]


class AnyResult(RootModel[Annotated[ResultView | BatchView | FinetuneView, Field(discriminator="kind")]]):
    """The result of a job of any kind."""

    model_config = ConfigDict(json_schema_extra={"examples": [RESULT_EXAMPLE, BATCH_EXAMPLE, FINETUNE_EXAMPLE]})
