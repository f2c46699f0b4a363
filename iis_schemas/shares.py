"""Requests and answers of share links: read-only access to one result, concept, image or study without an API key."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from iis_schemas.jobs.views import ElementsView
from iis_schemas.library_views import LibraryView
from iis_schemas.names import ActivationsName, ProtocolName
from iis_schemas.numbers import Integer
from iis_schemas.studies.requests import StudyGrid

ShareKind = Literal["result", "concept", "image", "study"]
DEFAULT_DAYS = 30
MAX_DAYS = 365
LARGEST_INDEX = 2**31 - 1
SHARE_EXAMPLE: dict[str, Any] = {
    "id": "shr_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "kind": "image",
    "title": "resnet18",
    "job": "job_01jz3v7m1b3c5d7e9f1g3h5j7k",
    "study": None,
    "concept": None,
    "image": 12,
    "hint": "x7Qd",
    "created_at": "2026-01-12T09:30:00Z",
    "expires_at": "2026-02-11T09:30:00Z",
    "last_used_at": None,
    "score": {
        "model_name": "resnet18",
        "dataset_name": "birds",
        "library": {"kind": "cluster", "concept_count": 200},
        "elements": {"kind": "patches", "images_per_class": 100, "scales": [1, 2, 4]},
        "protocol": "exact",
        "activations": "layernorm_relu",
        "created_at": "2026-01-12T09:00:00Z",
        "succeeded_at": "2026-01-12T09:20:00Z",
    },
    "grid": None,
    "links": {
        "self": "/v1/shares/shr_01jz3v8k2m4n6p8q0r2s4t6v8w",
        "job": "/v1/jobs/job_01jz3v7m1b3c5d7e9f1g3h5j7k",
        "explanation": "/v1/jobs/job_01jz3v7m1b3c5d7e9f1g3h5j7k/explanations/12?kept=20&top=8",
        "page": "/shared/shr_01jz3v8k2m4n6p8q0r2s4t6v8w",
    },
}


class ShareCreate(BaseModel):
    """Share the result of a score job, one of its concepts or test images, or a study.

    A job alone shares its result; with `concept` or `image` it shares that one only.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"job": "job_01jz3v7m1b3c5d7e9f1g3h5j7k", "image": 12, "kept": 20, "expires_in_days": 7}]},
    )

    job: str | None = None
    study: str | None = None
    concept: Integer | None = Field(default=None, ge=0, le=LARGEST_INDEX, description="A concept of the job, by its index")
    image: Integer | None = Field(default=None, ge=0, le=LARGEST_INDEX, description="A test image of the job, by its index")
    kept: Integer | None = Field(default=None, ge=0, le=LARGEST_INDEX, description="With `image`: number of kept concepts")
    contrast: str | None = Field(default=None, max_length=1000, description="With `image`: explain the prediction against this class")
    expires_in_days: Integer = Field(default=DEFAULT_DAYS, ge=1, le=MAX_DAYS)

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        if (self.job is None) == (self.study is None):
            raise ValueError("name a job or a study")
        if self.study is not None and (self.concept is not None or self.image is not None):
            raise ValueError("concept and image belong to a job")
        if self.concept is not None and self.image is not None:
            raise ValueError("name a concept or an image, not both")
        if self.image is None and (self.kept is not None or self.contrast is not None):
            raise ValueError("kept and contrast belong to an image")
        return self

    @property
    def kind(self) -> ShareKind:
        """Kind of the shared thing."""
        if self.study is not None:
            return "study"
        if self.concept is not None:
            return "concept"
        return "result" if self.image is None else "image"


class SharedScore(BaseModel):
    """Description of the score job whose result, concept or image is shared."""

    model_name: str | None = Field(description="Null for precomputed features")
    dataset_name: str | None
    library: LibraryView
    elements: ElementsView
    protocol: ProtocolName
    activations: ActivationsName
    created_at: datetime
    succeeded_at: datetime | None


class ShareView(BaseModel):
    """A share link without its token. The token may read this, and the addresses in `links` except `job`."""

    model_config = ConfigDict(json_schema_extra={"examples": [SHARE_EXAMPLE]})

    id: str
    kind: ShareKind
    title: str = Field(description="Name of the model or study")
    job: str | None
    study: str | None
    concept: int | None
    image: int | None
    hint: str = Field(description="The token's last four characters")
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = Field(description="To the minute; null until the link is opened")
    score: SharedScore | None = Field(description="Null for a study")
    grid: StudyGrid | None = Field(description="Of a study")
    links: dict[str, str]


class ShareCreated(ShareView):
    """A share link with its token, which is shown once; a replay under the same Idempotency-Key has null instead."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {**SHARE_EXAMPLE, "token": "iisshare_8vJk…x7Qd", "path": "/shared/shr_01jz3v8k2m4n6p8q0r2s4t6v8w#iisshare_8vJk…x7Qd"}
            ]
        }
    )

    token: str | None = Field(description="Send it as `Authorization: Bearer iisshare_…`")
    path: str | None = Field(description="Page of the link; the token is its fragment, which browsers do not send")
