"""Explanations of many images at once, as typed dictionaries: the JSON itself. Of one image: iis_client.types.explanations."""

from __future__ import annotations

from typing import Literal, TypedDict

from iis_client.types.explanations import RemovedConcept
from iis_client.types.scores import JobState, Progress, Reason


class BatchJob(TypedDict):
    """A job of kind explain: it explains the images of a `split` of the scored `job`, or those in an `upload`."""

    id: str
    kind: Literal["explain"]
    state: JobState
    attempt: int
    job: str
    model: str | None
    dataset: str
    split: Literal["test"] | None
    upload: str | None
    kept: int
    sparsity: float
    top: int
    contrast: str | None
    progress: Progress | None
    error: Reason | None
    created_at: str
    links: dict[str, str]


class RowConcept(TypedDict):
    """A concept's share in a row's prediction."""

    concept: int
    label: str | None
    origin: str
    activation: float
    contribution: float


RowCounterfactual = TypedDict("RowCounterfactual", {"removed": list[RemovedConcept], "class": str, "probability": float})
"""The fewest concepts without which another class would be named, and that class."""


class ExplainedRow(TypedDict):
    """Which concepts carried the interpretation of one image; where that could not be read, `error` says why and the rest is None.

    The contributions of `concepts` together with `remainder` and `bias` are `logit`.
    """

    index: int
    name: str | None
    label: str | None
    error: str | None
    representation: str | None
    representation_probability: float | None
    interpretation: str | None
    interpretation_probability: float | None
    agree: bool | None
    representation_correct: bool | None
    interpretation_correct: bool | None
    contrast: str | None
    logit: float | None
    bias: float | None
    concepts: list[RowConcept]
    remainder: float | None
    remaining: int | None
    counterfactual: RowCounterfactual | None


class BatchSummary(TypedDict):
    """All rows in a few numbers; accuracies are None where the true classes are not known."""

    count: int
    failed: int
    ignored: int
    ignored_names: list[str]
    agreement: float
    accuracy_representation: float | None
    accuracy_interpretation: float | None


class BatchResult(TypedDict):
    """What a job of kind explain found."""

    kind: Literal["explain"]
    job: str
    explained: str
    library: str
    kept: int
    sparsity: float
    summary: BatchSummary
    created_at: str
    links: dict[str, str]
