"""Wire types of jobs: what a person asks for and what they see of it. No rules that need the database."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.db.models import FINISHED_STATES, Job
from app.jobs.libraries import LibraryChoice
from iis_engine.specs import VISUAL_KINDS, ElementKind, ProtocolName

MAX_SEED = 2**31 - 1
MAX_DEADLINE_SECONDS = 7 * 24 * 3600

LINKED = ("events", "result", "curves", "plots", "explanations", "classes", "concepts", "cancel")

JobState = Literal["queued", "running", "canceling", "succeeded", "failed", "canceled"]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


class Elements(BaseModel):
    """How visual elements are cut from training images."""

    model_config = ConfigDict(extra="forbid")

    kind: ElementKind = "patches"
    images_per_class: int = Field(default=10, ge=1, le=1000)
    seed: Seed = 0


class JobCreate(BaseModel):
    """A request to score one model on one data set through one concept library."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "kind": "score",
                    "model": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8w",
                    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
                    "library": {"kind": "cluster", "concept_count": 200},
                    "elements": {"kind": "patches", "images_per_class": 10, "seed": 0},
                    "protocol": "exact",
                    "seed": 0,
                },
                {
                    "kind": "score",
                    "model": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8w",
                    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
                    "library": {"kind": "text", "clip_cutoff": 0.25},
                    "vlm": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8z",
                    "vocabulary": "birds",
                },
            ]
        },
    )

    kind: Literal["score"]
    model: str | None = Field(default=None, description="Left out for a features data set, which carries its representation")
    dataset: str
    library: LibraryChoice
    vlm: str | None = Field(
        default=None, description="A model of role vlm: it sees the phrases of a text library in images, and names visual concepts"
    )
    vocabulary: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_\-]{1,64}(@[1-9][0-9]{0,8})?$",
        description="The phrases: the name of a concept set that comes with the service, such as birds, or cst_… for the latest version"
        " of yours, or cst_…@2 for that one",
    )
    elements: Elements = Field(default_factory=Elements)
    protocol: ProtocolName = "exact"
    seed: Seed = 0
    deadline_seconds: float | None = Field(default=None, gt=0, le=MAX_DEADLINE_SECONDS, description="Of running time, over all attempts")

    @model_validator(mode="after")
    def _phrases_where_they_serve(self) -> Self:
        kinds = self.library.kinds
        if "text" in kinds and (self.vlm is None or self.vocabulary is None):
            raise PydanticCustomError("text_needs", "A text library is made of phrases that a model knows: give vlm and vocabulary.")
        if (self.vlm is None) != (self.vocabulary is None):
            raise PydanticCustomError(
                "vlm_and_vocabulary", "Names come from a model and its phrases: give both vlm and vocabulary, or neither."
            )
        if self.vlm is not None and not kinds & {"text", *VISUAL_KINDS}:  # phrases make a library, or name its crops
            what = "library given by id is used as it is" if self.library.id is not None else "random library has nothing to name"
            raise PydanticCustomError("vlm_not_taken", "A {what}; leave out vlm and vocabulary.", {"what": what})
        return self

    def to_spec(self, vocabulary: dict[str, Any] | None) -> dict[str, Any]:
        """The request as the job's row keeps it and the worker reads it.

        Parameters
        ----------
        vocabulary : the version that the request means: id, version and digest
        """
        return {
            "model": self.model,
            "dataset": self.dataset,
            "library": self.library.to_spec(),
            "elements": self.elements.model_dump(),
            "protocol": self.protocol,
            "seed": self.seed,
            "vlm": self.vlm,
            "vocabulary": vocabulary,
        }


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


JOB_EXAMPLE: dict[str, Any] = {
    "id": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "kind": "score",
    "state": "running",
    "attempt": 1,
    "model": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
    "library": {"kind": "cluster", "concept_count": 200, "parts": []},
    "vlm": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8z",
    "vocabulary": {"id": "birds", "version": 1, "digest": "38f144eec55882620878a0ea2697677e5ec68cf3f70f26e5d10528fe1fd87562"},
    "elements": {"kind": "patches", "images_per_class": 10, "seed": 0},
    "protocol": "exact",
    "seed": 0,
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
        "predictors": "/v1/predictors?job=job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    },
}


class JobView(BaseModel):
    """A job as its owner sees it."""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB_EXAMPLE]})

    id: str
    kind: Literal["score"]
    state: JobState
    attempt: int
    model: str | None
    dataset: str
    library: dict[str, Any]
    vlm: str | None = None  # jobs of the first releases say nothing of it
    vocabulary: VocabularyView | None = None
    elements: dict[str, Any]
    protocol: ProtocolName
    seed: int
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

    @classmethod
    def of(cls, job: Job) -> JobView:
        """The view of a row."""
        at = f"/v1/jobs/{job.id}"
        return cls.model_validate(
            {
                **job.spec,
                "id": job.id,
                "kind": job.kind,
                "state": job.state,
                "attempt": job.attempt,
                "deadline_seconds": job.deadline_seconds,
                "progress": job.progress,
                "error": job.error,
                "created_at": job.created_at,
                "queued_at": job.queued_at,
                "running_at": job.running_at,
                "canceling_at": job.canceling_at,
                **{f"{state}_at": job.finished_at if job.state == state else None for state in FINISHED_STATES},
                "links": {"self": at, "predictors": f"/v1/predictors?job={job.id}", **{name: f"{at}/{name}" for name in LINKED}},
            }
        )
