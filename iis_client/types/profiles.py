"""What is said of whole classes, of concepts and of predictors, as typed dictionaries: the service's JSON, nothing converted."""

from __future__ import annotations

from typing import Literal, TypedDict

from iis_client.types.explanations import ClassProbability, ClassRef, ConceptRef, Node

ExportFormat = Literal["safetensors", "onnx"]


class NodeOfJob(TypedDict):
    """The place on a job's curve that is spoken of, and the others that may be asked for."""

    kept: int
    sparsity: float
    concept_count: int
    nodes: list[Node]


class ClassSummary(ClassRef):
    """How well a class is told from the others on its test images, by `representation` and by `interpretation`."""

    test_images: int
    accuracy: dict[Literal["representation", "interpretation"], float]
    links: dict[str, str]


class WeightedConcept(ConceptRef):
    """A concept's weight for a class, centred over the classes, and what it gives the class's test images on average."""

    weight: float
    mean_contribution: float


class Confusion(ClassRef):
    """Another class that is named instead, and for how many test images."""

    count: int


class ClassProfile(NodeOfJob, ClassSummary):
    """What a class is made of: its weightiest concepts for and against, and what it is confused with."""

    bias: float
    supporting: list[WeightedConcept]
    opposing: list[WeightedConcept]
    confused_with: list[Confusion]


class Duplicate(TypedDict):
    """A concept whose vector points nearly the same way."""

    concept: int
    label: str | None
    cosine: float


class ConceptUse(ConceptRef):
    """What the interpretation makes of a concept.

    `firing_rate` is the share of the test images that keep it, `importance` the mean magnitude of its contribution to the predicted class.
    """

    firing_rate: float
    never_fires: bool
    importance: float
    duplicates: list[Duplicate]
    links: dict[str, str]


class ClassWeight(ClassRef):
    """A concept's weight for a class."""

    weight: float


class ActivatingImage(TypedDict):
    """A test image that a concept is strong in."""

    index: int
    name: str | None
    label: str
    activation: float
    links: dict[str, str]


class ConceptProfile(NodeOfJob, ConceptUse):
    """One concept, the classes it serves and hinders, and the test images that activate it most."""

    serves: list[ClassWeight]
    hinders: list[ClassWeight]
    top_images: list[ActivatingImage]


class Predictor(TypedDict):
    """The classifier behind one node of a job's curve: `kept` concepts of a library, and a linear head on them."""

    id: str
    job: str
    library: str
    kept: int
    sparsity: float
    concept_count: int
    accuracy: float
    arr: float
    created_at: str
    links: dict[str, str]


class PredictedConcept(TypedDict):
    """A concept's share in a prediction."""

    concept: int
    label: str | None
    activation: float
    contribution: float


class Prediction(ClassProbability):
    """What a predictor says of one image, and by which concepts."""

    name: str
    probabilities: list[ClassProbability]
    concepts: list[PredictedConcept]
