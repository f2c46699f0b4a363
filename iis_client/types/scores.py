"""What the service answers with, as typed dictionaries: the JSON itself, nothing converted. Concepts are in iis_client.types.concepts."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

CheckState = Literal["pending", "ready", "failed"]
JobState = Literal["queued", "running", "canceling", "succeeded", "failed", "canceled"]
LibraryKind = Literal["prototype", "cluster", "end2end", "text", "random", "combined"]
Role = Literal["backbone", "vlm"]
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


class Lineage(TypedDict):
    """The fine-tuning run that a model comes from: weights of an `epoch` of the run with that `seed`, started from `parent`."""

    job: str
    parent: str
    seed: int
    epoch: int
    weight: float


class Model(Checked):
    """An architecture with its arguments and weights: a backbone, or a vision-language model."""

    role: Role
    architecture: str
    arguments: dict[str, Any]
    upload: str | None
    text_upload: str | None
    tokenizer: str | None
    pretrained: str | None
    initial_seed: int | None
    layer: str | None
    lineage: Lineage | None
    preprocessing: dict[str, Any] | None


class Dataset(Checked):
    """Labelled images, or ready features."""

    kind: Literal["images", "features"]
    upload: str | None
    server_path: str | None
    hub: dict[str, Any] | None
    split_seed: int
    test_share: float


class Library(TypedDict):
    """Which concept library a job reads through: `kind` and M, or the `id` of one fitted before.

    The cutoffs and `native` are of text libraries, and of the text parts of combined ones.
    """

    id: NotRequired[str]
    kind: NotRequired[LibraryKind]
    concept_count: NotRequired[int]
    parts: NotRequired[list[Library]]
    clip_cutoff: NotRequired[float]
    interpretability_cutoff: NotRequired[float]
    native: NotRequired[bool]


class Elements(TypedDict, total=False):
    """How visual elements are cut."""

    kind: Literal["patches", "segments"]
    images_per_class: int
    seed: int


class Progress(TypedDict):
    """How far a running job is; `part` says which of several runs of the stage."""

    stage: str
    part: str | None
    done: int
    total: int
    eta_seconds: float | None


class VocabularyUsed(TypedDict):
    """The version of a concept set whose phrases a job reads."""

    id: str
    version: int
    digest: str


class Job(TypedDict):
    """One piece of accepted work."""

    id: str
    kind: str
    state: JobState
    attempt: int
    model: str | None
    dataset: str
    library: Library
    library_dataset: str | None
    elements: Elements
    vlm: str | None
    vocabulary: VocabularyUsed | None
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


class TextFindings(TypedDict):
    """What became of a vocabulary when a text library was fitted, and how well the vision-language model knows the images.

    `concepts` are the phrases that were kept, each with `group`, `similarity` (on held-out images) and `clip_top5`; `chance` is the
    accuracy of naming the most frequent class, which a weak model's zero-shot accuracy comes near to. That accuracy and its interval
    are None where the library was fitted on another data set, whose images and classes they would be of.
    """

    candidates: int
    kept: int
    dropped: dict[str, int]
    similarity_mean: float
    zero_shot_accuracy: float | None
    zero_shot_low: float | None
    zero_shot_high: float | None
    chance: float
    concepts: list[dict[str, Any]]
    clip_cutoff: float
    interpretability_cutoff: float
    native: bool


class NameFindings(TypedDict):
    """How many concepts cut from images could be named."""

    named: int
    unnamed: int


class LibraryRead(TypedDict):
    """The library behind a report; `seeds` is how many were fitted."""

    kind: LibraryKind
    concept_count: int
    seeds: int
    parts: NotRequired[list[Library]]
    text: NotRequired[TextFindings]
    names: NotRequired[NameFindings]


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
    library: LibraryRead
    protocol: str
    optimistic: bool
    warnings: list[str]


class Result(TypedDict):
    """A finished job's report and the library it was read through."""

    job: str
    library: str
    report: Report
    links: dict[str, str]


def shown(value: float | None, form: str = ".3f") -> str:
    """A number for people; a score that was withheld is called that."""
    return "withheld" if value is None else format(value, form)
