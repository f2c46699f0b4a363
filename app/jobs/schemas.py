"""Wire types of jobs: what a person asks for and what they see of it. No rules that need the database."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.db.models import FINISHED_STATES, Job
from iis_engine.specs import LIBRARY_KINDS, ElementKind, LibraryKind, LibrarySpec, ProtocolName

MAX_CONCEPTS = 20_000
DEFAULTS = LibrarySpec()
WORDED_KINDS: set[LibraryKind] = {"prototype", "cluster", "end2end", "text"}  # made of phrases, or of crops that phrases name
MAX_SEED = 2**31 - 1
MAX_DEADLINE_SECONDS = 7 * 24 * 3600

JobState = Literal["queued", "running", "canceling", "succeeded", "failed", "canceled"]


def _known_kind(value: object) -> object:
    if isinstance(value, str) and value not in LIBRARY_KINDS:
        names = {"kind": value, "known": ", ".join(LIBRARY_KINDS)}
        raise PydanticCustomError("unknown_library", "There is no library kind '{kind}'; the kinds are {known}.", names)
    return value


Kind = Annotated[LibraryKind, BeforeValidator(_known_kind)]
ConceptCount = Annotated[int, Field(ge=1, le=MAX_CONCEPTS, description="M, the number of concepts")]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


class TextOptions(BaseModel):
    """How phrases become a text library; no other library has these."""

    model_config = ConfigDict(extra="forbid")

    clip_cutoff: float | None = Field(
        default=None,
        ge=-1,
        le=1,
        description=f"A phrase's mean of its five highest cosines with training images must reach it; {DEFAULTS.clip_cutoff} unless given",
    )
    interpretability_cutoff: float | None = Field(
        default=None,
        ge=-1,
        le=1,
        description="The similarity that a phrase's activation reaches on held-out images must reach it;"
        f" {DEFAULTS.interpretability_cutoff} unless given",
    )
    native: bool | None = Field(
        default=None, description="The model is the vlm's own image tower: take the embeddings of the phrases as concept vectors"
    )

    def text_options(self) -> dict[str, Any]:
        """The options that were given."""
        return {name: value for name in TextOptions.model_fields if (value := getattr(self, name)) is not None}

    def require_text(self, kind: LibraryKind | None) -> None:
        """Refuse options of a text library where there is none."""
        if kind != "text" and (given := self.text_options()):
            names = {"names": ", ".join(given)}
            raise PydanticCustomError("text_options", "Only a text library takes {names}; leave that out or set kind to text.", names)

    def with_defaults(self, kind: LibraryKind | None) -> dict[str, Any]:
        """The options as a job's row keeps them: all of them for a text library, none for another."""
        return {name: getattr(DEFAULTS, name) for name in TextOptions.model_fields} | self.text_options() if kind == "text" else {}


class LibraryPart(TextOptions):
    """One library inside a combined one."""

    kind: Kind
    concept_count: ConceptCount = 200

    @model_validator(mode="after")
    def _parts_are_plain(self) -> Self:
        self.require_text(self.kind)
        if self.kind == "combined":
            raise PydanticCustomError("nested_library", "A part of a combined library is a plain library; it cannot be combined itself.")
        return self


class LibraryChoice(TextOptions):
    """The library to read the representation through: one to fit now (`kind`), or one fitted before (`id`)."""

    id: str | None = Field(default=None, description="A concept library fitted to the same model by an earlier job")
    kind: Kind | None = None
    concept_count: ConceptCount | None = Field(default=None, description="M; 200 unless given, and of a combined library the sum")
    parts: list[LibraryPart] = Field(default_factory=list[LibraryPart], max_length=16, description="Of a combined library, two or more")

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Self:
        if (self.id is None) == (self.kind is None):
            raise PydanticCustomError("library_choice", "Give the kind of a library to fit or the id of one fitted before, and not both.")
        if self.id is not None and (self.concept_count is not None or self.parts):
            raise PydanticCustomError("library_choice", "A library given by id is used as it is; leave out concept_count and parts.")
        self.require_text(self.kind)
        if self.kind == "combined":
            return self._combined()
        if self.parts:
            raise PydanticCustomError("library_parts", "Only a combined library has parts; leave them out or set kind to combined.")
        return self

    def _combined(self) -> Self:
        if len(self.parts) < 2:
            raise PydanticCustomError("library_parts", "A combined library needs two or more parts, each with a kind and a concept_count.")
        total = sum(part.concept_count for part in self.parts)
        if total > MAX_CONCEPTS:
            counts = {"total": total, "most": MAX_CONCEPTS}
            raise PydanticCustomError("library_parts", "The parts have {total} concepts together; the most is {most}.", counts)
        if self.concept_count not in (None, total):
            counts = {"total": total}
            raise PydanticCustomError("library_parts", "The parts have {total} concepts together; leave concept_count out.", counts)
        return self

    @property
    def kinds(self) -> set[LibraryKind]:
        """The kinds of plain libraries that are to be fitted; none for a library given by id."""
        if self.parts:
            return {part.kind for part in self.parts}
        return {self.kind} if self.kind is not None else set()

    def to_spec(self) -> dict[str, Any]:
        """The library as a job's row keeps it: `{id}`, or `{kind, concept_count, parts}` and the options of a text library."""
        if self.id is not None:
            return {"id": self.id}
        parts = [{"kind": part.kind, "concept_count": part.concept_count, **part.with_defaults(part.kind)} for part in self.parts]
        count = sum(part.concept_count for part in self.parts) if parts else self.concept_count or 200
        return {"kind": self.kind, "concept_count": count, "parts": parts, **self.with_defaults(self.kind)}


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
        if self.vlm is not None and not kinds & WORDED_KINDS:
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
        "cancel": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k/cancel",
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
                "links": {"self": at, **{name: f"{at}/{name}" for name in ("events", "result", "curves", "plots", "cancel")}},
            }
        )
