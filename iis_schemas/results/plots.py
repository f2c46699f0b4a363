"""Plots of a job; the images themselves are bytes."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.names import PlotFormat


class PlotView(BaseModel):
    """One figure of a job."""

    name: str = Field(description="`arr`: retention over sparsity with its band and the random control; `accuracy`: accuracy over sparsity")
    format: PlotFormat
    sha256: str
    links: dict[str, str]


PLOTS_EXAMPLE: dict[str, Any] = {
    "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "data": [
        {
            "name": "arr",
            "format": "png",
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "links": {"self": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/plots/arr.png"},
        }
    ],
    "links": {
        "self": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/plots",
        "job": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    },
}


class PlotsView(BaseModel):
    """The figures of one job."""

    model_config = ConfigDict(json_schema_extra={"examples": [PLOTS_EXAMPLE]})

    job: str
    data: list[PlotView]
    links: dict[str, str]
