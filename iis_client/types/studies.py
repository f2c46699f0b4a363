"""Studies and leaderboards as the service answers with them: typed dictionaries, nothing converted. Jobs are in iis_client.types.scores."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict, get_args

from iis_client.types.scores import Elements, JobState, Library, Reason, VocabularyUsed

StudyFigure = Literal["iis_accuracy", "evolution", "concept_counts", "sparsity_grids", "agreement"]
FIGURES: tuple[StudyFigure, ...] = get_args(StudyFigure)
TableFormat = Literal["csv", "parquet"]
Protocol = Literal["exact", "reference"]


class ModelEntry(TypedDict):
    """A model of a study, and what its owner knows about it: `accuracy` as published, `epoch` of a checkpoint."""

    model: str
    label: NotRequired[str | None]
    family: NotRequired[str | None]
    accuracy: NotRequired[float | None]
    epoch: NotRequired[float | None]


class StudyGrid(TypedDict):
    """What a study asks for: models x data sets x libraries x M x data sets that libraries are cut from x seeds."""

    models: list[ModelEntry]
    datasets: list[str]
    libraries: list[Library]
    concept_counts: list[int] | None
    library_datasets: list[str | None]
    sparsity_grids: list[list[float]]
    seeds: list[int]
    protocol: Protocol
    elements: Elements
    vlm: str | None
    vocabulary: VocabularyUsed | None
    evolution: bool
    deadline_seconds: float | None


class JobCounts(TypedDict):
    """How many jobs of a study are in each state."""

    total: int
    queued: int
    running: int
    canceling: int
    succeeded: int
    failed: int
    canceled: int


class Study(TypedDict):
    """A grid of score jobs; it is finished when none of them is to come any more."""

    id: str
    name: str
    state: Literal["running", "finished"]
    jobs: JobCounts
    grid: StudyGrid
    created_at: str
    extended_at: str | None
    links: dict[str, str]


class StudyCell(TypedDict):
    """One place of a study's grid and the job that stands for it; `created` is False where a job was there that asked for the same."""

    number: int
    job: str
    state: JobState
    error: Reason | None
    created: bool
    model: str
    label: str
    dataset: str
    dataset_name: str
    library: str
    concept_count: int
    library_dataset: str | None
    library_dataset_name: str | None
    seed: int
    links: dict[str, str]


class StudyEstimate(TypedDict):
    """What a study would cost: `images` that networks have to see, `bytes` of features that are kept of them.

    `seconds` are of one worker, None before a job was measured; `basis` says where they come from.
    """

    jobs: int
    reused: int
    images: int
    bytes: int
    seconds: float | None
    basis: str


class StudyAnalysis(TypedDict):
    """The statistics of what a study has found so far; a section of which it has nothing is empty.

    Whatever is undefined is None beside the sentence why.
    """

    rows: int
    models: int
    relation: list[dict[str, Any]]
    evolution: list[dict[str, Any]]
    concept_counts: list[dict[str, Any]]
    sparsity_grids: list[dict[str, Any]]
    agreement: list[dict[str, Any]]
    transfer: list[dict[str, Any]]
    untrained: list[dict[str, Any]]
    warnings: list[str]


class Board(TypedDict):
    """What the models of a leaderboard were scored on and read through; `details` is None where all the rest is as usual."""

    board: str
    dataset: str
    dataset_name: str
    library: str
    concept_count: int
    protocol: str
    details: str | None
    models: int


class LeaderboardEntry(TypedDict):
    """A model with the best of its jobs; `rank` is shared by all that are not told apart, and None near chance."""

    rank: int | None
    tied: bool
    model: str
    name: str
    job: str
    iis: float | None
    iis_low: float | None
    iis_high: float | None
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    concept_gain: float | None
    concept_gain_low: float | None
    concept_gain_high: float | None
    near_chance: bool
    jobs: int
    links: dict[str, str]


class Leaderboard(TypedDict):
    """One of `boards`, with its entries by rank; `board` is None where nothing was scored."""

    board: Board | None
    data: list[LeaderboardEntry]
    boards: list[Board]
    notes: list[str]
    links: dict[str, str]
