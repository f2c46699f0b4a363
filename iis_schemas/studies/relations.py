"""Sections of a study's statistics (METHOD §6) on the relation between IIS and accuracy, and along a training run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from iis_schemas.names import QuantityName


class Section(BaseModel):
    """Base of the parts of an analysis; a newer service may add fields."""

    model_config = ConfigDict(extra="allow")


class Interval(Section):
    """A measured number with its 95 % interval."""

    value: float
    low: float
    high: float


class CorrelationView(Section):
    """A rank correlation."""

    n: int = Field(description="Pairs")
    value: float | None
    low: float | None = Field(default=None, description="Of a 95 % percentile interval over resamples of the pairs")
    high: float | None = None
    noise_low: float | None = Field(
        default=None, description="95 % of its value for the same models on other test images; where a sentence states it"
    )
    noise_high: float | None = None
    p: float | None = Field(default=None, description="How often a random order shows at least as strong a correlation")
    p_holm: float | None = Field(
        default=None, description="p adjusted over all sentences of the study by Holm's method; null where no sentence states it"
    )
    reason: str | None = Field(default=None, description="Why one of these is null")


class SettingView(Section):
    """What the models of a section have in common."""

    dataset: str
    dataset_name: str
    library_dataset: str | None
    library_dataset_name: str | None = None
    edition: int = Field(default=1, description="Of the activations. Numbers of two editions do not compare")
    quantity: QuantityName = Field(default="accuracy", description="What scores retain, and every accuracy of the section is")


class LibrarySetting(SettingView):
    """A setting with its library and M."""

    library: str
    concept_count: int


class NamedModel(Section):
    """A model of the study."""

    model: str
    label: str


class LeftOutModel(NamedModel):
    """A model that correlations and means leave out."""

    reason: str


class ControlReadings(Section):
    """IIS of both controls and the gains over them; null where a result lacks them."""

    iis_isotropic: float | None = None
    gain_isotropic: Interval | None = Field(default=None, description="IIS minus that of isotropic directions")
    few_gain_isotropic: Interval | None = Field(default=None, description="The same of mean accuracy at 5 to 30 kept concepts")
    iis_matched: float | None = None
    gain_matched: Interval | None = None
    few_gain_matched: Interval | None = None


class RelationPoint(NamedModel, ControlReadings):
    """A model's place in the figure of IIS against accuracy."""

    family: str | None
    accuracy: Interval
    given_accuracy: float | None
    iis: Interval | None
    iis_chance_corrected: float | None
    few_concepts_mean: Interval | None = Field(default=None, description="Mean accuracy at 5 to 30 kept concepts")
    seeds: list[int]


class PartialCorrelations(Section):
    """Rank correlations with a third quantity taken out."""

    denominator: CorrelationView = Field(description="With the accuracy that ARR divides by taken out")
    isotropic: CorrelationView = Field(description="With the IIS of isotropic directions taken out")
    matched: CorrelationView = Field(description="With the IIS of matched directions taken out")


class ControlCorrelations(Section):
    """Rank correlations of the controls' IIS with accuracy."""

    isotropic: CorrelationView
    matched: CorrelationView


class GainCorrelations(Section):
    """Rank correlations of the gains with accuracy."""

    few_gain_matched: CorrelationView
    gain_matched: CorrelationView
    few_gain_isotropic: CorrelationView
    gain_isotropic: CorrelationView


class FamilyCorrelation(Section):
    """The correlation without the models of one family."""

    family: str
    n: int
    spearman: CorrelationView


class AccuracyRelation(Section):
    """IIS, the controls and the gains against one accuracy, over models."""

    spearman: CorrelationView
    kendall: CorrelationView
    partial: PartialCorrelations
    controls: ControlCorrelations
    gains: GainCorrelations
    leave_one_family_out: list[FamilyCorrelation]
    sentences: list[str] = Field(description="Of IIS, and of the gains over matched directions where they are measured")


class RelationView(LibrarySetting):
    """IIS against accuracy over the models of one setting."""

    n: int
    left_out: list[LeftOutModel]
    points: list[RelationPoint]
    accuracy: AccuracyRelation
    given_accuracy: AccuracyRelation | None = Field(description="Against the published accuracies, where every model has one")


class EvolutionPoint(RelationPoint):
    """A checkpoint."""

    epoch: float
    near_chance: bool
    chance: float


class EvolutionChange(Section):
    """IIS at the last checkpoint minus IIS at the first one that is better than chance."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    from_: float = Field(alias="from")
    to: float
    iis: Interval


class EvolutionView(LibrarySetting):
    """One training run over its checkpoints."""

    epochs_given: bool
    points: list[EvolutionPoint]
    near_chance: list[float] = Field(description="Epochs at which the representation is no better than chance")
    change: EvolutionChange | None
    highest_iis_at: float | None
    highest_accuracy_at: float | None
    sentence: str


class SameOrder(Section):
    """Whether two ways to score order the models alike."""

    n: int
    spearman: CorrelationView
    kendall: CorrelationView
