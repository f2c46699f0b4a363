"""Concepts and the phrases they are made of, as the service answers with them: typed dictionaries, nothing converted."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from iis_client.types.scores import CheckState, Reason


class Phrase(TypedDict):
    """A candidate concept, and the group its author put it in."""

    text: str
    group: NotRequired[str | None]


class DroppedPhrase(TypedDict):
    """A phrase that a concept set left out; `other` is what it is too close to, `similarity` how close."""

    text: str
    reason: str
    other: str | None
    similarity: float | None


class ConceptSetVersion(TypedDict):
    """The phrases of a concept set as they were sent at one time; `dropped` holds the first hundred that were left out.

    `digest` is None until the phrases are final.
    """

    concept_set: str
    number: int
    state: CheckState
    error: Reason | None
    phrase_count: int
    dropped_count: int
    dropped: list[DroppedPhrase]
    digest: str | None
    vlm: str | None
    dataset: str | None
    created_at: str | None
    checked_at: str | None
    links: dict[str, str]


class ConceptSet(TypedDict):
    """Phrases under a name, shipped with the service or uploaded; `versions` says how many there are."""

    id: str
    name: str
    description: str | None
    origin: Literal["shipped", "uploaded"]
    latest_version: int
    versions: int
    created_at: str | None
    links: dict[str, str]


class ConceptSetMade(ConceptSet):
    """A concept set with the version that a request has just given it, and all that was left out of that."""

    version: ConceptSetVersion


class ConceptLibrary(TypedDict):
    """A concept set fitted to one model: M unit vectors."""

    id: str
    job: str
    model: str | None
    dataset: str
    kind: str
    concept_count: int
    dimension: int
    links: dict[str, str]


class PhraseDetails(TypedDict):
    """How well a phrase is seen: the similarity reached on held-out images, and the mean of its five highest cosines."""

    group: str | None
    similarity: float
    clip_top5: float


class Name(TypedDict):
    """A phrase that may name a concept."""

    phrase: str
    score: float
    cosine: float


class NameDetails(TypedDict):
    """The nearest phrases to the elements of a concept, best first, and how far the best is ahead."""

    names: list[Name]
    margin: float
    named: bool


class Concept(TypedDict):
    """One concept and the elements that show it; `label` is its phrase or name, None where it has none."""

    index: int
    origin: str
    label: str | None
    details: PhraseDetails | NameDetails | None
    exemplars: list[dict[str, Any]]
    similarity: NotRequired[float]


class DroppedConcept(TypedDict):
    """A phrase that became no concept when a text library was fitted; `details` are the figures behind it."""

    index: int
    text: str
    reason: str
    details: dict[str, Any]
