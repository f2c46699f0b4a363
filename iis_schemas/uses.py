"""Counts of the jobs, studies and concept libraries that use a model or a data set."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

USES_EXAMPLE: dict[str, Any] = {
    "unfinished_jobs": 0,
    "finished_jobs": 12,
    "studies": 1,
    "concept_libraries": 8,
    "deletable": True,
    "links": {"of": "/v1/models/mdl_01jz3v8k2m4n6p8q0r2s4t6v8w"},
}


class UsesView(BaseModel):
    """Numbers of the rows that use a resource. Finished jobs keep its name and all results after it is deleted."""

    model_config = ConfigDict(json_schema_extra={"examples": [USES_EXAMPLE]})

    unfinished_jobs: int
    finished_jobs: int
    studies: int = Field(description="With jobs of these")
    concept_libraries: int = Field(description="Fitted to it")
    deletable: bool = Field(description="Whether a DELETE is accepted: no unfinished job uses it")
    links: dict[str, str]
