"""ARR curves of a job."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class PointView(BaseModel):
    """One node of a curve. `arr` is the accuracy kept, as a share of the representation's own (eq. 6); `_low` and `_high` bound 95 %."""

    model_config = ConfigDict(extra="allow")

    sparsity: float = Field(description="s, the share of concepts zeroed in each sample")
    kept: int = Field(description="k, the number of concepts kept")
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    arr: float
    arr_low: float
    arr_high: float
    arr_chance_corrected: float | None


class CurveView(BaseModel):
    """One curve of a job."""

    name: str = Field(description="`library`, or a control in the place of the concepts: `isotropic` or `matched`")
    points: list[PointView] = Field(description="By rising sparsity")


POINT_EXAMPLE: dict[str, Any] = {
    "sparsity": 0.9,
    "kept": 20,
    "accuracy": 0.873,
    "accuracy_low": 0.851,
    "accuracy_high": 0.893,
    "arr": 0.941,
    "arr_low": 0.92,
    "arr_high": 0.96,
    "arr_chance_corrected": 0.934,
}
CURVES_EXAMPLE: dict[str, Any] = {
    "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "data": [
        {
            "name": "library",
            "points": [POINT_EXAMPLE],
        }
    ],
    "links": {
        "self": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/curves",
        "csv": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/curves?format=csv",
        "job": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    },
}
CSV_EXAMPLE = (
    "curve,sparsity,kept,accuracy,accuracy_low,accuracy_high,arr,arr_low,arr_high,arr_chance_corrected\r\n"
    "library,0.9,20,0.873,0.851,0.893,0.941,0.92,0.96,0.934\r\n"
)


class CurvesView(BaseModel):
    """All curves of one job."""

    model_config = ConfigDict(json_schema_extra={"examples": [CURVES_EXAMPLE]})

    job: str
    data: list[CurveView]
    links: dict[str, str]
