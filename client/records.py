"""What the service answers with, as typed dictionaries: the JSON itself, nothing converted."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

CheckState = Literal["pending", "ready", "failed"]
JobState = Literal["queued", "running", "canceling", "succeeded", "failed", "canceled"]
LibraryKind = Literal["prototype", "cluster", "end2end", "random", "combined"]
FINISHED_STATES: tuple[JobState, ...] = ("succeeded", "failed", "canceled")


class Reason(TypedDict):
    """Why something failed, in one sentence."""

    code: str
    message: str
    param: NotRequired[str | None]


class UploadPart(TypedDict):
    """A part that has arrived."""

    number: int
    size_bytes: int
    sha256: str


class Upload(TypedDict):
    """A file on its way, or there; `parts` are those that have arrived."""

    id: str
    filename: str
    size_bytes: int
    sha256: str
    state: Literal["open", "complete"]
    parts: list[UploadPart]
    links: dict[str, str]


class Checked(TypedDict):
    """What a model and a data set have in common: a worker looks at it before it may be used."""

    id: str
    name: str
    state: CheckState
    error: Reason | None
    digest: str | None
    info: dict[str, Any] | None
    created_at: str
    links: dict[str, str]


class Model(Checked):
    """A backbone: an architecture with its arguments and weights."""

    architecture: str
    arguments: dict[str, Any]
    pretrained: str | None
    layer: str | None


class Dataset(Checked):
    """Labelled images, or ready features."""

    kind: Literal["images", "features"]


class Library(TypedDict):
    """Which concept library a job reads through: `kind` and M, or the `id` of one fitted before."""

    id: NotRequired[str]
    kind: NotRequired[LibraryKind]
    concept_count: NotRequired[int]
    parts: NotRequired[list[Library]]


class Elements(TypedDict, total=False):
    """How visual elements are cut."""

    kind: Literal["patches", "segments"]
    images_per_class: int
    seed: int


class Progress(TypedDict):
    """How far a running job is."""

    stage: str
    done: int
    total: int
    eta_seconds: float | None


class Job(TypedDict):
    """One piece of accepted work."""

    id: str
    kind: str
    state: JobState
    attempt: int
    model: str | None
    dataset: str
    library: Library
    protocol: str
    seed: int
    progress: Progress | None
    error: Reason | None
    created_at: str
    links: dict[str, str]


class Event(TypedDict):
    """Something that happened to a job; `id` grows."""

    id: int
    type: str
    data: dict[str, Any]


class Point(TypedDict):
    """One node of a curve: s, k, the accuracy kept and its share of the representation's own (eq. 6)."""

    sparsity: float
    kept: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    arr: float
    arr_low: float
    arr_high: float
    arr_chance_corrected: float | None


class Curve(TypedDict):
    """ARR over sparsity: of the `library`, or of the `random_control`."""

    name: str
    points: list[Point]


class Report(TypedDict):
    """The score of one representation through one library.

    `iis`, its interval, `concept_gain` and `iis_chance_corrected` are None where the representation is no better than chance:
    the score would divide by that, and a warning says so.
    """

    accuracy_representation: float
    accuracy_representation_low: float
    accuracy_representation_high: float
    points: list[Point]
    random_points: list[Point]
    iis: float | None
    iis_low: float | None
    iis_high: float | None
    quadrature_error: float
    iis_authors: float | None
    iis_random_mean: float | None
    iis_random_sd: float | None
    concept_gain: float | None
    concept_gain_low: float | None
    concept_gain_high: float | None
    iis_log: float | None
    chance: float
    iis_chance_corrected: float | None
    few_concepts: dict[str, float]
    few_concepts_mean: float | None
    library: dict[str, Any]
    protocol: str
    optimistic: bool
    warnings: list[str]


class Result(TypedDict):
    """A finished job's report and the library it was read through."""

    job: str
    library: str | None
    report: Report
    links: dict[str, str]


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


class Concept(TypedDict):
    """One concept and the elements that show it."""

    index: int
    origin: str
    label: str | None
    exemplars: list[dict[str, Any]]
    similarity: NotRequired[float]


def shown(value: float | None, form: str = ".3f") -> str:
    """A number for people; a score that was withheld is called that."""
    return "withheld" if value is None else format(value, form)
