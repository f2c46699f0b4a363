"""Wire types of jobs as their owner sees them, one for each kind. What may be asked for is in `app.jobs.schemas`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from app.db.models import FINISHED_STATES, Job
from iis_engine.specs import ProtocolName

JobState = Literal["queued", "running", "canceling", "succeeded", "failed", "canceled"]


class VocabularyView(BaseModel):
    """The version of a concept set that a job uses."""

    id: str = Field(description="cst_…, or the name of a set that comes with the service")
    version: int
    digest: str = Field(description="sha256 over its phrases")


class JobProgress(BaseModel):
    stage: str
    done: int
    total: int
    eta_seconds: float | None = None


class JobError(BaseModel):
    """Why a job failed, in one sentence."""

    code: str
    message: str
    param: str | None = None


_COMMON_EXAMPLE: dict[str, Any] = {
    "state": "running",
    "attempt": 1,
    "model": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
    "deadline_seconds": 86400.0,
    "progress": {"stage": "extract", "done": 640, "total": 1797, "eta_seconds": 12.5},
    "error": None,
    "created_at": "2026-01-12T09:30:00Z",
    "queued_at": "2026-01-12T09:30:00Z",
    "running_at": "2026-01-12T09:30:01Z",
    "canceling_at": None,
    "succeeded_at": None,
    "failed_at": None,
    "canceled_at": None,
}
_SCORE_EXAMPLE: dict[str, Any] = {
    **_COMMON_EXAMPLE,
    "id": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "kind": "score",
    "library": {"kind": "cluster", "concept_count": 200, "parts": []},
    "library_dataset": None,
    "vlm": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8z",
    "vocabulary": {"id": "birds", "version": 1, "digest": "38f144eec55882620878a0ea2697677e5ec68cf3f70f26e5d10528fe1fd87562"},
    "elements": {"kind": "patches", "images_per_class": 10, "seed": 0},
    "protocol": "exact",
    "seed": 0,
    "links": {
        "self": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k",
        "events": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/events",
        "result": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/result",
        "curves": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/curves",
        "plots": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/plots",
        "explanations": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/explanations",
        "classes": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/classes",
        "concepts": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/concepts",
        "cancel": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/cancel",
    },
}


_EXPLAIN_AT = "/v1/jobs/job_01jz3w0b2c4d6e8f0g2h4j6k8m"
_EXPLAIN_EXAMPLE: dict[str, Any] = {
    **_COMMON_EXAMPLE,
    "id": "job_01jz3w0b2c4d6e8f0g2h4j6k8m",
    "kind": "explain",
    "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "split": "test",
    "upload": None,
    "kept": 20,
    "sparsity": 0.9,
    "top": 8,
    "contrast": None,
    "links": {
        "self": _EXPLAIN_AT,
        "events": f"{_EXPLAIN_AT}/events",
        "result": f"{_EXPLAIN_AT}/result",
        "rows": f"{_EXPLAIN_AT}/rows",
        "rows.jsonl": f"{_EXPLAIN_AT}/rows.jsonl",
        "rows.parquet": f"{_EXPLAIN_AT}/rows.parquet",
        "cancel": f"{_EXPLAIN_AT}/cancel",
        "explained": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    },
}


class JobView(BaseModel):
    """What jobs of every kind show."""

    linked: ClassVar[tuple[str, ...]] = ()

    id: str
    state: JobState
    attempt: int
    model: str | None
    dataset: str
    deadline_seconds: float
    progress: JobProgress | None
    error: JobError | None
    created_at: datetime
    queued_at: datetime
    running_at: datetime | None
    canceling_at: datetime | None
    succeeded_at: datetime | None
    failed_at: datetime | None
    canceled_at: datetime | None
    links: dict[str, str]

    @property
    def finished(self) -> bool:
        return self.state in FINISHED_STATES

    @staticmethod
    def of(job: Job) -> JobView:
        """The view of a row, of the row's kind."""
        at, kind = f"/v1/jobs/{job.id}", _VIEWS[job.kind]
        scored = job.kind == "score"
        related = {"predictors": f"/v1/predictors?job={job.id}"} if scored else {"explained": f"/v1/jobs/{job.spec['job']}"}
        return kind.model_validate(
            {
                **job.spec,
                "id": job.id,
                "kind": job.kind,
                "state": job.state,
                "attempt": job.attempt,
                "model": job.model_id,
                "dataset": job.dataset_id,
                "deadline_seconds": job.deadline_seconds,
                "progress": job.progress,
                "error": job.error,
                "created_at": job.created_at,
                "queued_at": job.queued_at,
                "running_at": job.running_at,
                "canceling_at": job.canceling_at,
                **{f"{state}_at": job.finished_at if job.state == state else None for state in FINISHED_STATES},
                "links": {"self": at, **{name: f"{at}/{name}" for name in kind.linked}, **related},
            }
        )


class ScoreJobView(JobView):
    """A job that scores a model on a data set."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SCORE_EXAMPLE]})

    linked = ("events", "result", "curves", "plots", "explanations", "classes", "concepts", "cancel")

    kind: Literal["score"]
    library: dict[str, Any]
    library_dataset: str | None = None  # jobs of the first releases say nothing of it, nor of what follows
    vlm: str | None = None
    vocabulary: VocabularyView | None = None
    elements: dict[str, Any]
    protocol: ProtocolName
    seed: int


class ExplainJobView(JobView):
    """A job that explains what a scored job's interpretation says of many images."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXPLAIN_EXAMPLE]})

    linked = ("events", "result", "rows", "rows.jsonl", "rows.parquet", "cancel")

    kind: Literal["explain"]
    job: str = Field(description="The scored job")
    split: Literal["test"] | None
    upload: str | None
    kept: int
    sparsity: float
    top: int
    contrast: str | None


class AnyJob(RootModel[Annotated[ScoreJobView | ExplainJobView, Field(discriminator="kind")]]):
    """A job of any kind."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SCORE_EXAMPLE, _EXPLAIN_EXAMPLE]})


_VIEWS: dict[str, type[ScoreJobView | ExplainJobView]] = {"score": ScoreJobView, "explain": ExplainJobView}
