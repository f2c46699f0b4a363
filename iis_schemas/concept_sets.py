"""Requests and answers of concept sets, their versions, phrases and dropped phrases."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from iis_schemas.fields import FailureReason
from iis_schemas.names import CheckState, ConceptSetOrigin, PhraseReason

UPLOAD_PHRASES_MAX = 20_000
UPLOAD_CHARACTERS_MAX = 200
CONCEPT_CHARACTERS_MAX = 60
SOURCES = ("phrases", "upload", "from_classes")


class PhraseChoice(BaseModel):
    """A phrase, and the group its author puts it in."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"text": "a hooked bill", "group": "bill shapes"}]})

    text: str = Field(description=f"At most {UPLOAD_CHARACTERS_MAX} characters; above {CONCEPT_CHARACTERS_MAX} it is dropped as too long")
    group: str | None = None


class ConceptSetVersionCreate(BaseModel):
    """Phrases from one of three sources. A worker gathers those `from_classes`, and compares phrases with `vlm`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"phrases": [{"text": "a hooked bill", "group": "bill shapes"}, "a barred tail", "red eyes"]}]},
    )

    phrases: list[str | PhraseChoice] | None = Field(default=None, max_length=UPLOAD_PHRASES_MAX, fail_fast=True)
    upload: str | None = Field(
        default=None,
        max_length=64,
        description="A complete upload: .txt with a phrase per line, .json, or .csv with columns phrase and group",
    )
    from_classes: str | None = Field(
        default=None, max_length=64, description="A ready data set; a worker gathers phrases from the meanings of its class names"
    )
    vlm: str | None = Field(
        default=None, max_length=64, description="A ready model of role vlm, by whose embeddings near-duplicates are dropped too"
    )
    dataset: str | None = Field(
        default=None,
        max_length=64,
        description="A ready data set; phrases near its class names are dropped. That of from_classes unless given",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("concept_set_source", "Give exactly one of phrases, upload and from_classes.")
        return self


class ConceptSetCreate(ConceptSetVersionCreate):
    """A concept set with its first version."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "birds of the garden",
                    "description": "Parts of birds, seen from a window.",
                    "phrases": [{"text": "a hooked bill", "group": "bill shapes"}, "a barred tail", "red eyes"],
                    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
                }
            ]
        }
    )

    name: str | None = Field(default=None, min_length=1, max_length=200)
    description: str | None = Field(default=None, min_length=1, max_length=2000)


SET_EXAMPLE: dict[str, Any] = {
    "id": "cst_01jz3v8k2m4n6p8q0r2s4t6v8y",
    "name": "birds of the garden",
    "description": "Parts of birds, seen from a window.",
    "origin": "uploaded",
    "latest_version": 2,
    "versions": 2,
    "created_at": "2026-01-12T09:30:00Z",
    "links": {
        "self": "/v1/concept-sets/cst_01jz3v8k2m4n6p8q0r2s4t6v8y",
        "versions": "/v1/concept-sets/cst_01jz3v8k2m4n6p8q0r2s4t6v8y/versions",
        "latest": "/v1/concept-sets/cst_01jz3v8k2m4n6p8q0r2s4t6v8y/versions/2",
    },
}
DROPPED_EXAMPLE: dict[str, Any] = {"text": "hooked bills", "reason": "repeated", "other": "a hooked bill", "similarity": None}
VERSION_EXAMPLE: dict[str, Any] = {
    "concept_set": "cst_01jz3v8k2m4n6p8q0r2s4t6v8y",
    "number": 2,
    "state": "ready",
    "error": None,
    "phrase_count": 412,
    "dropped_count": 1,
    "dropped": [DROPPED_EXAMPLE],
    "digest": "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35",
    "vlm": None,
    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
    "created_at": "2026-01-12T09:30:00Z",
    "checked_at": "2026-01-12T09:30:00Z",
    "links": {
        "self": "/v1/concept-sets/cst_01jz3v8k2m4n6p8q0r2s4t6v8y/versions/2",
        "phrases": "/v1/concept-sets/cst_01jz3v8k2m4n6p8q0r2s4t6v8y/versions/2/phrases",
        "dropped": "/v1/concept-sets/cst_01jz3v8k2m4n6p8q0r2s4t6v8y/versions/2/dropped",
        "download": "/v1/concept-sets/cst_01jz3v8k2m4n6p8q0r2s4t6v8y/versions/2/download",
    },
}


class ConceptSetView(BaseModel):
    """A set of phrases, shipped with the service or uploaded."""

    model_config = ConfigDict(json_schema_extra={"examples": [SET_EXAMPLE]})

    id: str = Field(description="Of a shipped set its name, such as birds")
    name: str
    description: str | None
    origin: ConceptSetOrigin
    latest_version: int
    versions: int = Field(description="Number of versions")
    created_at: datetime | None
    links: dict[str, str]


class DroppedPhraseView(BaseModel):
    """A dropped phrase with its reason."""

    model_config = ConfigDict(json_schema_extra={"examples": [DROPPED_EXAMPLE]})

    text: str
    reason: PhraseReason
    other: str | None = Field(description="The kept phrase or the class name that it matches")
    similarity: float | None = Field(description="Of the embeddings, for near_class and near_phrase")


class ConceptSetVersionView(BaseModel):
    """A version of a concept set. A version of your own that is ready never changes."""

    model_config = ConfigDict(json_schema_extra={"examples": [VERSION_EXAMPLE]})

    concept_set: str
    number: int
    state: CheckState
    error: FailureReason | None
    phrase_count: int
    dropped_count: int
    dropped: list[DroppedPhraseView] = Field(description="The first 100; all of them in the answer to the request that created the version")
    digest: str | None = Field(description="sha256 over the phrases, once they are final")
    vlm: str | None
    dataset: str | None
    created_at: datetime | None
    checked_at: datetime | None
    links: dict[str, str]


class ConceptSetCreated(ConceptSetView):
    """A concept set with the version just created and all of its dropped phrases."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**SET_EXAMPLE, "version": VERSION_EXAMPLE}]})

    version: ConceptSetVersionView


class PhraseView(BaseModel):
    """A phrase of a version."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "a hooked bill", "group": "bill shapes"}]})

    text: str
    group: str | None
