"""Profiles of the classes and concepts of a scored job."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.explanations.images import AT, CLASS_ALIAS, ClassRef, ConceptRef, NodeView
from iis_schemas.names import ClassQuantityName

_CROP = {"image": "train/3/0041.png", "box": [0, 0, 16, 16], "similarity": 0.93, "element": 88, "crop": "88.png"}
_CONCEPT: dict[str, Any] = {
    "concept": 17,
    "label": "a curved stroke",
    "origin": "cluster",
    "exemplars": [_CROP | {"url": "/v1/concept-libraries/lib_01jz3vb0a2c4e6g8j0m2n4p6r8/exemplars/88.png"}],
}
_NODE: dict[str, Any] = {"kept": 20, "sparsity": 0.9, "concept_count": 200, "nodes": [{"kept": 20, "sparsity": 0.9}]}
_CLASS: dict[str, Any] = {"class": "3", "index": 3, "test_images": 91, "accuracy": {"representation": 0.97, "interpretation": 0.92}}
_USE: dict[str, Any] = {
    **_CONCEPT,
    "firing_rate": 0.31,
    "never_fires": False,
    "importance": 0.42,
    "duplicates": [{"concept": 4, "label": None, "cosine": 0.93}],
    "links": {"self": f"{AT}/concepts/17"},
}


class NodeOfJob(BaseModel):
    """The node of the curve that the numbers belong to."""

    kept: int
    sparsity: float
    concept_count: int
    nodes: list[NodeView] = Field(description="The nodes that requests may name")


class HeadAccuracies(BaseModel):
    """Accuracies of the head on the whole representation, and of the one on the kept concepts; average precisions of labels."""

    representation: float | None = Field(description="Null without a test image of the class or label")
    interpretation: float | None = Field(description="Null without a test image of the class or label")


class ClassSummary(ClassRef):
    """Accuracies on the test images of a class."""

    test_images: int
    quantity: ClassQuantityName = Field(default="accuracy", description="What `accuracy` is; average precision of a label")
    accuracy: HeadAccuracies = Field(description="On its test images; for a label of multi-label data its average precision")
    links: dict[str, str]


class ConfusionMatrices(BaseModel):
    """Test images by true class (rows) and predicted class (columns), in the order of the classes."""

    representation: list[list[int]] = Field(description="Of the linear head on the whole representation")
    interpretation: list[list[int]] = Field(description="Of the head on the kept concepts")


class ClassesView(NodeOfJob):
    """All classes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_NODE,
                    "data": [{**_CLASS, "links": {"self": f"{AT}/classes/3"}}],
                    "confusion": {"representation": [[88, 3], [0, 91]], "interpretation": [[84, 7], [2, 89]]},
                    "links": {"self": f"{AT}/classes"},
                }
            ]
        }
    )

    data: list[ClassSummary]
    confusion: ConfusionMatrices | None = Field(default=None, description="Null for more than 60 classes")
    links: dict[str, str]


class WeightedConcept(ConceptRef):
    """A concept's weight for a class."""

    weight: float = Field(description="Centred over the classes; as it is for a label of multi-label data")
    mean_contribution: float = Field(description="To the logit of the class, mean over its test images")


class Confusion(ClassRef):
    """Another class that is predicted instead, and for how many test images."""

    count: int


class ClassView(NodeOfJob, ClassSummary):
    """The profile of a class: its concepts for and against."""

    model_config = CLASS_ALIAS | ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_NODE,
                    **_CLASS,
                    "bias": 0.1,
                    "supporting": [{**_CONCEPT, "weight": 1.9, "mean_contribution": 2.2}],
                    "opposing": [],
                    "confused_with": [{"class": "5", "index": 5, "count": 3}],
                    "links": {"self": f"{AT}/classes/3"},
                }
            ]
        }
    )

    bias: float
    supporting: list[WeightedConcept]
    opposing: list[WeightedConcept]
    confused_with: list[Confusion]


class DuplicateView(BaseModel):
    """A concept with nearly the same direction."""

    concept: int
    label: str | None
    cosine: float


class ConceptUseView(ConceptRef):
    """The use of a concept by the predictor."""

    model_config = ConfigDict(json_schema_extra={"examples": [_USE]})

    firing_rate: float = Field(description="Share of the test images in which it is kept")
    never_fires: bool
    importance: float = Field(description="Mean magnitude of its contribution to the predicted class")
    duplicates: list[DuplicateView]
    links: dict[str, str]


class ClassWeight(ClassRef):
    weight: float


class ActivatingImage(BaseModel):
    """A test image with a high activation of a concept."""

    index: int
    name: str | None
    label: str | None = Field(description="True class; null for multi-label data")
    labels: list[str] | None = Field(default=None, description="True labels of multi-label data")
    activation: float
    links: dict[str, str]


class Histogram(BaseModel):
    """Counts of test images by activation; each bin has the edges before and after it."""

    edges: list[float]
    counts: list[int]


class ActivationLevels(BaseModel):
    """Test images with the highest activations, with those around the median, and with the lowest."""

    high: list[ActivatingImage]
    middle: list[ActivatingImage]
    low: list[ActivatingImage]


class ConceptProfileView(NodeOfJob, ConceptUseView):
    """The profile of a concept: the classes it supports (`serves`) and opposes (`hinders`), its activations, and test images with them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_NODE,
                    **_USE,
                    "serves": [{"class": "3", "index": 3, "weight": 1.9}],
                    "hinders": [{"class": "1", "index": 1, "weight": -0.7}],
                    "top_images": [
                        {
                            "index": 17,
                            "name": "test/3/0007.png",
                            "label": "3",
                            "activation": 3.1,
                            "links": {"explanation": f"{AT}/explanations/17", "image": f"{AT}/explanations/17/image.png"},
                        }
                    ],
                }
            ]
        }
    )

    serves: list[ClassWeight]
    hinders: list[ClassWeight]
    top_images: list[ActivatingImage]
    histogram: Histogram | None = Field(default=None, description="Of the activations in the test images, before the threshold")
    levels: ActivationLevels | None = None
