"""What is said of one image, as typed dictionaries: the JSON itself. Classes and concepts as a whole are in iis_client.types.profiles."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

ClassRef = TypedDict("ClassRef", {"class": str, "index": int})
"""A class by name and by place."""


class ClassProbability(ClassRef):
    """A class and how likely a head calls it."""

    probability: float


class Verdict(ClassProbability):
    """What a head says: its class, and the likeliest ones."""

    top: list[ClassProbability]


class Node(TypedDict):
    """A place on the curve: k concepts kept of M, s = 1 - k/M."""

    kept: int
    sparsity: float


class ConceptRef(TypedDict):
    """A concept as people know it; `exemplars` are elements that show it, each with the `url` of its crop."""

    concept: int
    label: str | None
    origin: str
    exemplars: list[dict[str, Any]]


class Contribution(ConceptRef):
    """A concept's share in a prediction: weight times activation, positive where it supports the explained class."""

    activation: float
    contribution: float
    links: dict[str, str]


class RemovedConcept(TypedDict):
    """A concept that a counterfactual takes away."""

    concept: int
    label: str | None
    contribution: float


class Counterfactual(ClassProbability):
    """The fewest concepts without which another class would be named, and that class."""

    removed: list[RemovedConcept]


class Faithfulness(TypedDict):
    """Probability of the explained class without the `counts` most important concepts, and with these alone; random: mean over orders."""

    counts: list[int]
    deletion: list[float]
    deletion_random: list[float]
    sufficiency: list[float]
    sufficiency_random: list[float]


class ExplainedImage(TypedDict):
    """The image that is explained; `id` is its index in the test set, or `img_…` of a posted one. `size` is height and width."""

    id: str
    index: int | None
    name: str | None
    label: str | None
    size: list[int] | None


class HeatMaps(TypedDict):
    """How far heat maps can be trusted; `exact` where the mean of a map is the activation that the head reads."""

    available: bool
    exact: bool | None
    method: Literal["feature_map", "tokens", "occlusion"] | None
    note: str


class Explanation(TypedDict):
    """Which concepts carried a prediction.

    All contributions together with `bias` are `logit`: the centred logit of the explained class or, with a contrast, how far it is ahead
    of that. `remainder` is the sum of the `remaining` contributions that are not listed.
    """

    job: str
    image: ExplainedImage
    kept: int
    sparsity: float
    concept_count: int
    nodes: list[Node]
    class_names: list[str]
    representation: Verdict
    interpretation: Verdict
    agree: bool
    correct: dict[Literal["representation", "interpretation"], bool] | None
    explained: ClassRef
    contrast: ClassRef | None
    logit: float
    bias: float
    supporting: list[Contribution]
    opposing: list[Contribution]
    remainder: float
    remaining: int
    faithfulness: Faithfulness
    counterfactual: Counterfactual | None
    heatmaps: HeatMaps
    links: dict[str, str]


class Outcome(TypedDict):
    """What was predicted for one test image, by the whole representation and by the kept concepts."""

    index: int
    name: str | None
    label: str
    representation: ClassProbability
    interpretation: ClassProbability
    links: dict[str, str]


class HeatMap(TypedDict):
    """Where a concept is in an image, as numbers over the places that the network tells apart."""

    concept: int
    exact: bool
    method: Literal["feature_map", "tokens", "occlusion"]
    note: str
    values: list[list[float]]
    mean: float
    activation: float
    links: dict[str, str]


class ChangedProbability(ClassRef):
    """A class's probability before and after an intervention."""

    before: float
    after: float


class ChangedActivation(TypedDict):
    """A concept's activation before and after an intervention."""

    concept: int
    before: float
    after: float


class Intervention(TypedDict):
    """The prediction before and after; `changed` where another class is predicted."""

    kept: int
    sparsity: float
    before: Verdict
    after: Verdict
    changed: bool
    probabilities: list[ChangedProbability]
    activations: list[ChangedActivation]
    links: dict[str, str]
