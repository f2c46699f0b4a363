"""Requests and answers of concept libraries, their concepts and the search for the nearest ones."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from iis_schemas.descriptions import DESCRIBED_EXAMPLE, DescribedView
from iis_schemas.library_views import LibraryView
from iis_schemas.names import DropReason, LibraryKind
from iis_schemas.numbers import Integer, Number
from iis_schemas.stored import StoredModel

MAX_DIMENSION = 16_000  # of a concept vector: the most that a pgvector column holds

LIBRARY_EXAMPLE: dict[str, Any] = {
    "id": "lib_01jz3vb0a2c4e6g8j0m2n4p6r8",
    "name": "strokes",
    **DESCRIBED_EXAMPLE,
    "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "model": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
    "kind": "cluster",
    "settings": {"kind": "cluster", "concept_count": 200, "parts": []},
    "concept_count": 200,
    "dimension": 512,
    "created_at": "2026-01-12T09:31:12Z",
    "links": {
        "self": "/v1/concept-libraries/lib_01jz3vb0a2c4e6g8j0m2n4p6r8",
        "concepts": "/v1/concept-libraries/lib_01jz3vb0a2c4e6g8j0m2n4p6r8/concepts",
        "dropped": "/v1/concept-libraries/lib_01jz3vb0a2c4e6g8j0m2n4p6r8/dropped",
        "exemplars": "/v1/concept-libraries/lib_01jz3vb0a2c4e6g8j0m2n4p6r8/exemplars",
        "download": "/v1/concept-libraries/lib_01jz3vb0a2c4e6g8j0m2n4p6r8/download",
        "nearest": "/v1/concept-libraries/lib_01jz3vb0a2c4e6g8j0m2n4p6r8/nearest",
        "job": "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    },
}
CONCEPT_EXAMPLE: dict[str, Any] = {
    "index": 17,
    "origin": "cluster",
    "label": "a curved stroke",
    "details": {
        "names": [{"phrase": "a curved stroke", "score": 3.1, "cosine": 0.31}, {"phrase": "a loop", "score": 2.2, "cosine": 0.27}],
        "margin": 0.9,
        "named": True,
    },
    "exemplars": [{"image": "train/3/0041.png", "box": [0, 0, 16, 16], "similarity": 0.93, "element": 88, "crop": "88.png"}],
}
DROPPED_EXAMPLE: dict[str, Any] = {
    "index": 4,
    "text": "a striped tail",
    "reason": "clip_cutoff",
    "details": {"clip_top5": 0.18},
}
NEAREST_EXAMPLE: dict[str, Any] = {
    "library": "lib_01jz3vb0a2c4e6g8j0m2n4p6r8",
    "data": [{**CONCEPT_EXAMPLE, "similarity": 0.71}],
    "links": {"library": "/v1/concept-libraries/lib_01jz3vb0a2c4e6g8j0m2n4p6r8"},
}


class ConceptLibraryView(DescribedView):
    """A concept library fitted to one model: M unit vectors in the space of its representation."""

    model_config = ConfigDict(json_schema_extra={"examples": [LIBRARY_EXAMPLE]})

    id: str
    name: str | None = None
    job: str
    model: str | None
    dataset: str
    kind: LibraryKind
    settings: LibraryView
    concept_count: int = Field(description="M")
    dimension: int = Field(description="d, of the representation")
    created_at: datetime
    links: dict[str, str]


class Exemplar(StoredModel):
    """A visual element that shows a concept."""

    image: str | None = None
    box: list[int | float] | None = Field(default=None, description="left, top, right, bottom in pixels of the image")
    similarity: float | None = None
    element: int | None = None
    crop: str | None = Field(default=None, description="The file name of its picture")
    url: str | None = Field(default=None, description="The address of its picture; absent in lists of concepts")


class PhraseDetails(StoredModel):
    """Of a text concept: its group, and how well it is seen."""

    group: str | None = None
    similarity: float = Field(description="On held-out images")
    clip_top5: float = Field(description="Mean of its five highest cosines with training images")


class NearPhrase(StoredModel):
    """A phrase that may name a concept."""

    phrase: str
    score: float
    cosine: float


class NameDetails(StoredModel):
    """Of a concept cut from images: the nearest phrases, best first, and how far the best is ahead."""

    names: list[NearPhrase]
    margin: float
    named: bool


class ConceptView(BaseModel):
    """One concept, without its vector: the download has them all."""

    model_config = ConfigDict(json_schema_extra={"examples": [CONCEPT_EXAMPLE]})

    index: int
    origin: str = Field(description="The kind of the library it comes from, which differs in a combined one")
    label: str | None = Field(description="Its phrase, or the name that was found for it; null where it has none")
    details: PhraseDetails | NameDetails | None = Field(
        description="Of a text concept group, similarity (on held-out images) and clip_top5; of a named one names, margin and named"
    )
    exemplars: list[Exemplar] = Field(description="Elements that show it")


class DroppedConceptView(BaseModel):
    """A phrase that became no concept of a text library."""

    model_config = ConfigDict(json_schema_extra={"examples": [DROPPED_EXAMPLE]})

    index: int
    text: str
    reason: DropReason
    details: dict[str, JsonValue] = Field(description="The numbers behind the reason")


class NearestRequest(BaseModel):
    """A direction in the space of the representation, of any length."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"vector": [0.12, -0.4, 0.9], "limit": 5}]})

    vector: list[Number] = Field(min_length=1, max_length=MAX_DIMENSION)
    limit: Integer = Field(default=10, ge=1, le=100)


class NearConcept(ConceptView):
    similarity: float = Field(description="Cosine with the vector that was sent, from -1 to 1")


class NearestView(BaseModel):
    """The concepts with the highest cosine, highest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [NEAREST_EXAMPLE]})

    library: str
    data: list[NearConcept]
    links: dict[str, str]
