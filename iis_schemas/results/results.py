"""The result of a finished job."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from iis_schemas.results.batches import BATCH_EXAMPLE, BatchView
from iis_schemas.results.finetuning import FINETUNE_EXAMPLE, FinetuneView
from iis_schemas.results.reports import REPORT_EXAMPLE, Report

RESULT_EXAMPLE: dict[str, Any] = {
    "kind": "score",
    "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "library": "lib_01jz3vb0a2c4e6g8j0m2n4p6r8",
    "report": REPORT_EXAMPLE,
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
    """The result of a score job: the report, and where its parts are."""

    model_config = ConfigDict(json_schema_extra={"examples": [RESULT_EXAMPLE]})

    kind: Literal["score"] = "score"
    job: str
    library: str | None = Field(description="The concept library the representation was read through")
    report: Report
    created_at: datetime
    links: dict[str, str]


class AnyResult(RootModel[Annotated[ResultView | BatchView | FinetuneView, Field(discriminator="kind")]]):
    """The result of a job of any kind."""

    model_config = ConfigDict(json_schema_extra={"examples": [RESULT_EXAMPLE, BATCH_EXAMPLE, FINETUNE_EXAMPLE]})
