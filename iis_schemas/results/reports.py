"""The report of a score (METHOD §3): accuracies, points of the curve, IIS with its interval, both controls and the verdict."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.fields import ElementsView
from iis_schemas.names import LibraryKind, ProtocolName, QuantityName, VerdictCode, quantity_words
from iis_schemas.results.curves import POINT_EXAMPLE, PointView
from iis_schemas.stored import StoredModel

CONTROL_EXAMPLE: dict[str, Any] = {
    "points": [{**POINT_EXAMPLE, "accuracy": 0.741, "arr": 0.798}],
    "iis": 0.842,
    "iis_low": 0.829,
    "iis_high": 0.855,
    "gain": 0.079,
    "gain_low": 0.061,
    "gain_high": 0.097,
    "headroom_gain": 0.5,
    "headroom_gain_low": 0.41,
    "headroom_gain_high": 0.58,
    "iis_log": 0.583,
    "iis_log_low": 0.561,
    "iis_log_high": 0.605,
    "few_mean": 0.642,
    "few_mean_low": 0.611,
    "few_mean_high": 0.673,
    "few_gain": 0.113,
    "few_gain_low": 0.081,
    "few_gain_high": 0.145,
}
REPORT_EXAMPLE: dict[str, Any] = {
    "protocol": "exact",
    "edition": 2,
    "library": {
        "kind": "cluster",
        "concept_count": 200,
        "seeds": 5,
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
    "few_concepts": {"5": 0.612, "10": 0.781, "20": 0.873},
    "few_concepts_mean": 0.755,
    "few_concepts_mean_low": 0.729,
    "few_concepts_mean_high": 0.781,
    "iis": 0.921,
    "iis_low": 0.909,
    "iis_high": 0.933,
    "controls": {"isotropic": CONTROL_EXAMPLE, "matched": CONTROL_EXAMPLE},
    "verdict": {
        "code": "reads_through_concepts",
        "sentence": "The representation reads through its concepts: with 5 to 30 of them per image it keeps +0.113 (95 % interval +0.081 "
        "to +0.145) more accuracy than with directions of the same statistics; it is above any directions (+0.113).",
        "next": [],
    },
    "balanced": {"accuracy": 0.926, "iis": 0.92, "few_mean": 0.753},
    "quadrature_error": 0.0004,
    "iis_by_seed": [0.92, 0.922, 0.921, 0.919, 0.923],
    "iis_authors": 0.899,
    "iis_chance_corrected": 0.913,
    "iis_chance_corrected_low": 0.901,
    "iis_chance_corrected_high": 0.925,
    "iis_log": 0.741,
    "iis_log_low": 0.722,
    "iis_log_high": 0.76,
    "optimistic": False,
    "solver": {"evaluations": 412},
    "panel": None,
    "configuration": {"protocol": "exact", "activations": "calibrated", "seed": 0, "library_seeds": 5, "control_seeds": 5},
    "notes": [],
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


class ControlView(StoredModel):
    """Directions without concepts, measured like the library, and what the library gains over them. `_low` and `_high` bound 95 %."""

    points: list[PointView] = Field(default_factory=list[PointView], description="Its curve, by rising sparsity")
    iis: float | None = None
    iis_low: float | None = None
    iis_high: float | None = None
    gain: float | None = Field(default=None, description="IIS of the library minus that of the control")
    gain_low: float | None = None
    gain_high: float | None = None
    headroom_gain: float | None = Field(default=None, description="The gain over 1 minus the control's IIS")
    headroom_gain_low: float | None = None
    headroom_gain_high: float | None = None
    iis_log: float | None = None
    iis_log_low: float | None = None
    iis_log_high: float | None = None
    few_mean: float | None = Field(default=None, description="Mean accuracy at 5 to 30 kept activations per image")
    few_mean_low: float | None = None
    few_mean_high: float | None = None
    few_gain: float | None = Field(default=None, description="few_concepts_mean of the library minus few_mean")
    few_gain_low: float | None = None
    few_gain_high: float | None = None


class ControlsView(StoredModel):
    """The two controls of a library."""

    isotropic: ControlView | None = Field(default=None, description="Gaussian directions: any directions at all")
    matched: ControlView | None = Field(
        default=None, description="Directions with the library's own mean and covariance; absent in results of the first edition"
    )


class VerdictView(StoredModel):
    """What the score says, in words."""

    code: VerdictCode
    sentence: str = Field(description="With the numbers that decide")
    next: list[str] = Field(default_factory=list[str], description="What can be tried, one sentence each")


class BalancedView(StoredModel):
    """The score with mean per-class recall in the place of accuracy."""

    accuracy: float
    iis: float | None = None
    few_mean: float | None = None


class Report(StoredModel):
    """The Inherent Interpretability Score of one representation read through one concept library.

    IIS, the gains and the controls' IIS are null under the exact protocol where the representation is no better than chance; a warning
    says so. `_low` and `_high` bound 95 %.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [REPORT_EXAMPLE]})

    protocol: ProtocolName
    quantity: QuantityName = Field(
        default="accuracy",
        description="In the place of every accuracy of the report: of multi-label data the mean average precision over the labels",
    )
    edition: int = Field(
        default=1,
        description="Of the activations: 2 where they are centred and calibrated, 1 with LayerNorm alone. Two editions do not compare",
    )
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
    few_concepts: dict[str, float] = Field(
        default_factory=dict[str, float], description="Accuracy at 5 to 30 kept activations; the points have their intervals"
    )
    few_concepts_mean: float | None = Field(default=None, description="Their mean")
    few_concepts_mean_low: float | None = None
    few_concepts_mean_high: float | None = None
    iis: float | None = Field(description="The area under retention over sparsity (eq. 7)")
    iis_low: float | None
    iis_high: float | None
    controls: ControlsView = Field(default_factory=ControlsView)
    verdict: VerdictView | None = Field(default=None, description="Absent in results of the first edition")
    balanced: BalancedView | None = Field(default=None, description="Null for multi-label data, and in results of the first edition")
    quadrature_error: float | None = Field(default=None, description="Of iis: what the nodes may miss")
    iis_by_seed: list[float] = Field(default_factory=list[float], description="By seed of the library; empty where iis is null")
    iis_authors: float | None = Field(default=None, description="Trapezoid over [0, .98], the authors' convention")
    iis_chance_corrected: float | None = None
    iis_chance_corrected_low: float | None = None
    iis_chance_corrected_high: float | None = None
    iis_log: float | None = Field(default=None, description="The area over the logarithm of the kept concepts, which weighs few concepts")
    iis_log_low: float | None = None
    iis_log_high: float | None = None
    optimistic: bool = Field(default=False, description="Whether the test set chose epochs and learning rates")
    solver: dict[str, int | float] = Field(default_factory=dict[str, int | float], description="How well the solver converged")
    panel: dict[str, Any] | None = Field(
        default=None, description="Measures of the sparse code, the concepts and the library; null for multi-label data"
    )
    configuration: dict[str, Any] = Field(default_factory=dict[str, Any], description="Everything that the score was computed under")
    notes: list[str] = Field(
        default_factory=list[str], description="What was assumed, chosen, converted or left out while model and data were read"
    )
    warnings: list[str]

    @property
    def quantity_in_words(self) -> str:
        """What is retained: accuracy, or mean average precision."""
        return quantity_words(self.quantity)


class TunedReport(Report):
    """The report of a fine-tuned network, with the accuracy of the head that was trained."""

    accuracy_trained: float | None = Field(default=None, description="Absent in results that did not measure it")
