"""Explanations of single images. Changes to their concepts: iis_schemas.explanations.interventions."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.concept_libraries import Exemplar
from iis_schemas.names import HeatMapMethod

AT = "/v1/jobs/job_01jz3v9a1b3c5d7e9f1g3h5j7k"
CLASS_ALIAS = ConfigDict(serialize_by_alias=True, validate_by_name=True)


class ClassRef(BaseModel):
    """A class by name and index."""

    model_config = CLASS_ALIAS

    class_: str = Field(alias="class")
    index: int


class ClassProbability(ClassRef):
    probability: float


class HeadPrediction(ClassProbability):
    """The prediction of a head: its class, and the most likely ones."""

    top: list[ClassProbability]


class NodeView(BaseModel):
    """A node of the curve: k concepts kept of M, s = 1 - k/M."""

    kept: int
    sparsity: float


class CorrectHeads(BaseModel):
    """Whether each head names the true class."""

    representation: bool
    interpretation: bool


class ConceptRef(BaseModel):
    """A concept with its label and exemplars."""

    concept: int = Field(description="Its index in the job's concept library")
    label: str | None = Field(description="Its phrase, or the name that was found for it")
    origin: str
    exemplars: list[Exemplar] = Field(description="Elements that show it, each with the `url` of its crop")


class ContributionView(ConceptRef):
    """A concept's share in a prediction."""

    activation: float
    contribution: float = Field(description="Weight times activation; positive ones support the explained class")
    links: dict[str, str]


class RemovedConcept(BaseModel):
    concept: int
    label: str | None
    contribution: float


class CounterfactualView(ClassProbability):
    """The smallest set of concepts whose removal changes the predicted class, and the new class.

    Of multi-label data the classes are the label and its absence, `not NAME`: the removal takes the probability of the label across 1/2.
    """

    removed: list[RemovedConcept]


class FaithfulnessView(BaseModel):
    """Probability of the explained class without the `counts` most important concepts, and with these alone."""

    counts: list[int]
    deletion: list[float]
    deletion_random: list[float] = Field(description="Mean over random orders")
    sufficiency: list[float]
    sufficiency_random: list[float]


class ImageView(BaseModel):
    """The image that is explained."""

    id: str = Field(description="Index in the test set, or img_… of a posted one")
    index: int | None
    name: str | None
    label: str | None = Field(description="True class, where it is known; null for multi-label data")
    labels: list[str] | None = Field(default=None, description="True labels of multi-label data, where they are known")
    size: list[int] | None = Field(description="Height and width in pixels as the network sees it; null where there is no image")


class LabelView(ClassProbability):
    """A label of an image of multi-label data, with the contributions of the concepts to it.

    All contributions together with `bias` are `logit`; the probability is its logistic function.
    """

    is_true: bool | None = Field(description="Whether the image has the label, where that is known")
    logit: float
    bias: float
    supporting: list[ContributionView]
    opposing: list[ContributionView]
    remainder: float = Field(description="Sum of the contributions that are not listed")
    remaining: int = Field(description="Their number")


class HeatMapsView(BaseModel):
    """Availability and exactness of heat maps."""

    available: bool
    exact: bool | None = Field(description="Whether the mean of a map is the activation that the head reads")
    method: HeatMapMethod | None
    note: str


class NoveltyView(BaseModel):
    """Distance of an image from the training images: Euclidean, in f, to the nearest of up to 2048 of them."""

    distance: float
    typical_distance: float = Field(description="Median over these training images of the distance to the nearest other")
    p_value: float = Field(description="Conformal p-value, (1 + k) / (1 + n): k of the n training images are as far from the others")
    unlike: bool = Field(description="Whether p_value is below 0.01, which takes n of 100 or more: the explanation then says little")
    training_images: int = Field(description="Number of training images compared")


CLASS_EXAMPLE: dict[str, Any] = {"class": "3", "index": 3, "probability": 0.94}
_SHARE: dict[str, Any] = {"concept": 17, "label": "a curved stroke", "origin": "cluster", "activation": 2.1, "contribution": 1.3}
_CROP: dict[str, Any] = {"image": "train/3/0041.png", "box": [0, 0, 16, 16], "similarity": 0.93, "element": 88, "crop": "88.png"}
_CROP_URL = "/v1/concept-libraries/lib_01jz3vb0a2c4e6g8j0m2n4p6r8/exemplars/88.png"
EXPLANATION_EXAMPLE: dict[str, Any] = {
    "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k",
    "image": {"id": "17", "index": 17, "name": "test/3/0007.png", "label": "3", "size": [224, 224]},
    "kept": 20,
    "sparsity": 0.9,
    "concept_count": 200,
    "nodes": [{"kept": 200, "sparsity": 0.0}, {"kept": 20, "sparsity": 0.9}],
    "class_names": ["0", "1", "2", "3"],
    "representation": {**CLASS_EXAMPLE, "top": [CLASS_EXAMPLE]},
    "interpretation": {**CLASS_EXAMPLE, "top": [CLASS_EXAMPLE]},
    "agree": True,
    "correct": {"representation": True, "interpretation": True},
    "explained": {"class": "3", "index": 3},
    "contrast": None,
    "logit": 3.2,
    "bias": 0.1,
    "supporting": [{**_SHARE, "exemplars": [{**_CROP, "url": _CROP_URL}], "links": {"heatmap": f"{AT}/explanations/17/heatmaps/17.png"}}],
    "opposing": [],
    "remainder": 1.8,
    "remaining": 19,
    "faithfulness": {
        "counts": [0, 1, 20],
        "deletion": [0.94, 0.41, 0.25],
        "deletion_random": [0.94, 0.9, 0.25],
        "sufficiency": [0.25, 0.62, 0.94],
        "sufficiency_random": [0.25, 0.27, 0.94],
    },
    "counterfactual": {
        "removed": [{"concept": 17, "label": "a curved stroke", "contribution": 1.3}],
        "class": "2",
        "index": 2,
        "probability": 0.5,
    },
    "heatmaps": {"available": True, "exact": True, "method": "feature_map", "note": "Exact: …"},
    "novelty": {"distance": 5.2, "typical_distance": 4.8, "p_value": 0.41, "unlike": False, "training_images": 2048},
    "links": {"self": f"{AT}/explanations/17?kept=20&top=8", "image": f"{AT}/explanations/17/image.png", "job": AT},
}


class ExplanationView(BaseModel):
    """The contributions of concepts to a prediction.

    All contributions together with `bias` are `logit`: the centred logit of the explained class or, with a contrast, how far it is ahead.
    Of multi-label data every label has a head of its own: the explained class is the most probable label, `labels` explains each.
    """

    model_config = ConfigDict(serialize_by_alias=True, json_schema_extra={"examples": [EXPLANATION_EXAMPLE]})

    job: str
    image: ImageView
    kept: int
    sparsity: float
    concept_count: int
    nodes: list[NodeView] = Field(description="The nodes that requests may name")
    class_names: list[str]
    representation: HeadPrediction = Field(description="Of the linear head on the whole representation")
    interpretation: HeadPrediction = Field(description="Of the head on the kept concepts; this is what is explained")
    agree: bool
    correct: CorrectHeads | None = Field(description="Of representation and interpretation, where the true class is known")
    explained: ClassRef
    contrast: ClassRef | None
    logit: float
    bias: float
    supporting: list[ContributionView]
    opposing: list[ContributionView]
    remainder: float = Field(description="Sum of the contributions that are not listed")
    remaining: int = Field(description="Their number")
    faithfulness: FaithfulnessView
    counterfactual: CounterfactualView | None = Field(description="Null where no removal changes the prediction")
    labels: list[LabelView] | None = Field(
        default=None, description="Of multi-label data the most probable labels, at most 20, each with its contributions; else null"
    )
    heatmaps: HeatMapsView
    novelty: NoveltyView | None = Field(
        default=None, description="Null where the features of the training images are no longer stored, or exceed 1 GiB"
    )
    links: dict[str, str]


class OutcomeView(BaseModel):
    """The predictions for one test image."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "index": 17,
                    "name": "test/3/0007.png",
                    "label": "3",
                    "representation": CLASS_EXAMPLE,
                    "interpretation": CLASS_EXAMPLE,
                    "links": {"self": f"{AT}/explanations/17", "image": f"{AT}/explanations/17/image.png"},
                }
            ]
        }
    )

    index: int
    name: str | None
    label: str | None = Field(description="True class; null for multi-label data")
    labels: list[str] | None = Field(default=None, description="True labels of multi-label data")
    representation: ClassProbability
    interpretation: ClassProbability
    links: dict[str, str]


HEAT_MAP_EXAMPLE: dict[str, Any] = {
    "concept": 17,
    "exact": True,
    "method": "feature_map",
    "note": "Exact: …",
    "values": [[0.1, 0.4], [0.0, 0.3]],
    "mean": 0.2,
    "activation": 0.2,
    "raw_mean": 4.1,
    "raw_activation": 4.1,
    "links": {"png": f"{AT}/explanations/17/heatmaps/17.png"},
}


class HeatMapView(BaseModel):
    """The heat map of a concept in an image, as numbers over the locations of the feature map."""

    model_config = ConfigDict(json_schema_extra={"examples": [HEAT_MAP_EXAMPLE]})

    concept: int
    exact: bool
    method: HeatMapMethod
    note: str
    values: list[list[float]] = Field(description="On the scale of activations: minus the mean over concepts, in units of their deviation")
    mean: float = Field(description="Over the locations; equal to the activation where the map is exact")
    activation: float = Field(description="Of the concept, before the threshold")
    raw_mean: float = Field(description="The same before any normalisation, ⟨F(u, v), c⟩ over the locations")
    raw_activation: float = Field(description="⟨f(x), c⟩")
    links: dict[str, str]


class HeatMapsListView(BaseModel):
    """The heat maps of several concepts in an image, in the requested order."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [HEAT_MAP_EXAMPLE], "links": {"self": f"{AT}/explanations/17/heatmaps?concepts=17"}}]}
    )

    data: list[HeatMapView]
    links: dict[str, str]
