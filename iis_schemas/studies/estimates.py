"""Estimates of studies: the jobs that a grid would create, and their cost."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

ESTIMATE_EXAMPLE: dict[str, Any] = {
    "jobs": 16,
    "reused": 4,
    "images": 7188,
    "bytes": 29442048,
    "seconds": 412.5,
    "basis": "Your last 20 finished jobs took 0.021 seconds for an image or crop and 9.8 seconds for the rest of a job; one worker runs"
    " one job at a time.",
}


class EstimateView(BaseModel):
    """The estimated cost of a study."""

    model_config = ConfigDict(json_schema_extra={"examples": [ESTIMATE_EXAMPLE]})

    jobs: int = Field(description="Cells of the grid")
    reused: int = Field(description="Of them, those with an existing job of yours")
    images: int | None = Field(description="Images and crops that networks have to see; null where a data set is not counted")
    bytes: int | None = Field(description="Of the features that are kept; null while a model is not registered, whose width is unknown")
    seconds: float | None = Field(description="On one worker; null before a job of yours has finished")
    basis: str = Field(description="The basis of the estimate, in a sentence")
