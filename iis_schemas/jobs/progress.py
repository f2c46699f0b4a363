"""Progress of a running job: of its current stage, of all its stages, and of the job as a whole."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

StageState = Literal["waiting", "running", "finished", "reused", "skipped", "stopped"]

OVERALL_EXAMPLE: dict[str, Any] = {"share_done": 0.2, "eta_seconds": 41.0, "tasks_done": 3, "tasks_total": 19}
STAGES_EXAMPLE: list[dict[str, Any]] = [
    {
        "stage": "materialise",
        "title": "Fetching checkpoint and images",
        "state": "finished",
        "share": 0.01,
        "expected_seconds": 0.4,
        "seconds": 0.5,
        "workers": ["gpu1:4211:a3f09c"],
    },
    {
        "stage": "extract",
        "title": "Extracting features",
        "state": "running",
        "share": 0.6,
        "expected_seconds": 28.0,
        "tasks": {"done": 1, "total": 8, "workers": 2},
        "workers": ["gpu1:4211:a3f09c", "gpu2:977:51be20"],
    },
]


class TaskProgress(BaseModel):
    """Tasks of a stage that idle workers share."""

    done: int
    total: int
    workers: int = Field(description="Workers that compute now")


class OverallProgress(BaseModel):
    """Progress of a job over all its stages."""

    share_done: float = Field(ge=0, le=1, description="Share of the job's expected time that is done")
    eta_seconds: float | None = Field(
        description="Seconds left over all stages, from the rates of your earlier jobs and of this one; null while a stage is left for"
        " which no job of a similar size has a rate"
    )
    tasks_done: int = Field(description="Finished tasks of all stages; a stage that is not divided is one task")
    tasks_total: int


class JobProgress(BaseModel):
    """Progress of a running job's current stage, and of the job."""

    stage: str
    title: str = Field(description="Stage and part in words")
    part: str | None = Field(default=None, description="Which of several runs of the stage, such as treatment, seed 0")
    done: int
    total: int
    eta_seconds: float | None = Field(default=None, description="Seconds left in this stage")
    tasks: TaskProgress | None = Field(default=None, description="Null for a stage that one worker computes alone")
    overall: OverallProgress | None = None


class JobStage(BaseModel):
    """One stage of a job."""

    stage: str
    title: str = Field(description="Stage and part in words")
    part: str | None = None
    dataset: str | None = Field(default=None, description="The data set of the library's images, where this stage reads it")
    state: StageState = Field(
        description="reused: an earlier job has stored the output; skipped: no other stage needs it; stopped: the job ended in this stage"
    )
    share: float = Field(ge=0, le=1, description="Share of the job's expected time; 0 for stages that are reused or skipped")
    expected_seconds: float | None = Field(description="By the rates of your earlier jobs; null where none of a similar size has a rate")
    seconds: float | None = Field(default=None, description="Null until the stage has finished")
    tasks: TaskProgress | None = Field(default=None, description="Null for a stage that one worker computes alone")
    workers: list[str] = Field(default_factory=list[str], description="Names of the workers that have computed it or parts of it")
