"""The report of a score (METHOD §3): accuracies, points of the curve, IIS with its interval, and the random control."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.fields import ElementsView
from iis_schemas.names import LibraryKind, ProtocolName
from iis_schemas.results.curves import POINT_EXAMPLE, PointView
from iis_schemas.stored import StoredModel

REPORT_EXAMPLE: dict[str, Any] = {
    "protocol": "exact",
    "library": {
        "kind": "cluster",
        "concept_count": 200,
        "seeds": 3,
        "elements": {"kind": "patches", "images_per_class": 10, "seed": 0, "scales": [4]},
    },
    "class_names": ["0", "1", "2", "3"],
    "train_count": 1438,
    "test_count": 359,
    "dimension": 512,
    "accuracy_representation": 0.928,
    "accuracy_representation_low": 0.911,
    "accuracy_representation_high": 0.945,
    "chance": 0.102,
    "points": [POINT_EXAMPLE],
    "random_points": [{**POINT_EXAMPLE, "accuracy": 0.741, "arr": 0.798}],
    "iis": 0.921,
    "iis_low": 0.909,
    "iis_high": 0.933,
    "quadrature_error": 0.0004,
    "iis_by_seed": [0.92, 0.922, 0.921],
    "iis_authors": 0.899,
    "iis_chance_corrected": 0.913,
    "iis_random_mean": 0.842,
    "iis_random_sd": 0.006,
    "concept_gain": 0.079,
    "concept_gain_low": 0.061,
    "concept_gain_high": 0.097,
    "iis_log": 0.741,
    "iis_log_random": 0.583,
    "few_concepts": {"5": 0.612, "10": 0.781, "20": 0.873},
    "few_concepts_mean": 0.755,
    "optimistic": False,
    "solver": {"iterations": 412},
    "warnings": [],
}


class ReportPart(StoredModel):
    """A plain library inside the combined one that a report was made with."""

    kind: LibraryKind
    concept_count: int


class TextConcept(BaseModel):
    """A phrase that became a concept."""

    model_config = ConfigDict(extra="allow")

    phrase: str
    group: str | None
    similarity: float = Field(description="Of its activation with its cosines, on held-out images that chose nothing")
    clip_top5: float = Field(description="Mean of its five highest cosines with training images")


class TextFindings(StoredModel):
    """The phrases of a text library, and how well the vision-language model knows the images.

    Zero-shot accuracy, its interval and chance are null where the library was fitted on another data set.
    """

    candidates: int
    kept: int
    dropped: dict[str, int] = Field(description="Phrases that became no concept, counted by reason")
    similarity_mean: float
    concepts: list[TextConcept]
    clip_cutoff: float
    interpretability_cutoff: float
    native: bool = False
    held_out_count: int | None = Field(default=None, description="Images that chose or judged the phrases and their directions")
    judging_count: int | None = Field(default=None, description="Of these, the images that judged; `similarity` is measured on them")
    zero_shot_accuracy: float | None = Field(default=None, description="Of the vision-language model on the test images")
    zero_shot_low: float | None = None
    zero_shot_high: float | None = None
    chance: float | None = Field(default=None, description="Accuracy of naming the most frequent class")


class NameFindings(StoredModel):
    """How many concepts cut from images have a name."""

    named: int
    unnamed: int


class ReportLibrary(StoredModel):
    """The concept library behind a report."""

    kind: LibraryKind
    concept_count: int = Field(description="M")
    seeds: int = Field(default=1, description="How many libraries were fitted, each from a seed of its own")
    parts: list[ReportPart] | None = Field(default=None, description="Of a combined library; absent otherwise")
    text: TextFindings | None = Field(default=None, description="Of a library with text concepts; absent otherwise")
    names: NameFindings | None = Field(default=None, description="Where concepts were named; absent otherwise")
    elements: ElementsView | None = Field(default=None, description="Of a library with concepts cut from images; absent otherwise")


class Report(StoredModel):
    """The Inherent Interpretability Score of one representation read through one concept library.

    IIS, the gain and the control's IIS are null under the exact protocol where the representation is no better than chance; a warning
    says so. `_low` and `_high` bound 95 %.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [REPORT_EXAMPLE]})

    protocol: ProtocolName
    library: ReportLibrary
    class_names: list[str] = Field(default_factory=list[str])
    train_count: int = Field(default=0, description="Training images")
    test_count: int = Field(default=0, description="Test images")
    dimension: int = Field(default=0, description="d, of the representation")
    accuracy_representation: float = Field(description="Of a linear head on the whole representation, on test images")
    accuracy_representation_low: float | None = None
    accuracy_representation_high: float | None = None
    chance: float | None = Field(default=None, description="Accuracy of the best constant prediction")
    points: list[PointView] = Field(description="The curve, by rising sparsity")
    random_points: list[PointView] = Field(default_factory=list[PointView], description="The curve of random directions")
    iis: float | None = Field(description="The area under retention over sparsity (eq. 7)")
    iis_low: float | None
    iis_high: float | None
    quadrature_error: float | None = Field(default=None, description="Of iis: what the nodes may miss")
    iis_by_seed: list[float] = Field(default_factory=list[float], description="By seed of the library; empty where iis is null")
    iis_authors: float | None = Field(default=None, description="Trapezoid over [0, .98], the authors' convention")
    iis_chance_corrected: float | None = None
    iis_random_mean: float | None = Field(default=None, description="IIS of random directions, mean over seeds")
    iis_random_sd: float | None = None
    concept_gain: float | None = Field(default=None, description="iis minus iis_random_mean")
    concept_gain_low: float | None = None
    concept_gain_high: float | None = None
    iis_log: float | None = Field(default=None, description="The area over the logarithm of the kept concepts, which weighs few concepts")
    iis_log_random: float | None = None
    few_concepts: dict[str, float] = Field(default_factory=dict[str, float], description="Accuracy at 5 to 30 kept concepts")
    few_concepts_mean: float | None = None
    optimistic: bool = Field(default=False, description="Whether the test set chose epochs and learning rates")
    solver: dict[str, int | float] = Field(default_factory=dict[str, int | float], description="How well the solver converged")
    warnings: list[str]


class TunedReport(Report):
    """The report of a fine-tuned network, with the accuracy of the head that was trained."""

    accuracy_trained: float | None = Field(default=None, description="Absent in results that did not measure it")
