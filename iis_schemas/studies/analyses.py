"""The statistics of a study (METHOD §6), section by section.

A section without data is empty; an undefined number is null beside the reason.
"""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from iis_schemas.studies.relations import (
    ControlReadings,
    EvolutionView,
    Interval,
    LeftOutModel,
    LibrarySetting,
    NamedModel,
    RelationView,
    SameOrder,
    Section,
    SettingView,
)

_SETTING: dict[str, Any] = {
    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
    "dataset_name": "digits",
    "library": "cluster",
    "concept_count": 200,
    "library_dataset": None,
    "library_dataset_name": None,
    "edition": 2,
}
_RHO: dict[str, Any] = {
    "n": 12,
    "value": 0.72,
    "low": 0.31,
    "high": 0.93,
    "noise_low": 0.66,
    "noise_high": 0.77,
    "p": 0.008,
    "p_holm": 0.024,
    "reason": None,
}
_BESIDE: dict[str, Any] = {**_RHO, "p_holm": None}
_UNDEFINED: dict[str, Any] = {**dict.fromkeys(_RHO), "n": 12, "reason": "Within one data set it is undefined."}
_AGAINST: dict[str, Any] = {
    "spearman": _RHO,
    "kendall": _BESIDE,
    "partial": {"denominator": _UNDEFINED, "isotropic": _BESIDE, "matched": _BESIDE},
    "controls": {"isotropic": _BESIDE, "matched": _BESIDE},
    "gains": {"few_gain_matched": _RHO, "gain_matched": _RHO, "few_gain_isotropic": _BESIDE, "gain_isotropic": _BESIDE},
    "leave_one_family_out": [{"family": "ResNet", "n": 7, "spearman": _BESIDE}],
    "sentences": [
        "IIS and accuracy rise together over 12 models: rho 0.72 [0.31, 0.93], p 0.008, 0.024 by Holm. The IIS of matched directions has "
        "rho 0.72 [0.31, 0.93]; given it, rho of IIS is 0.72 [0.31, 0.93].",
        "The few-concept gain over matched directions and accuracy rise together over 12 models: rho 0.72 [0.31, 0.93], p 0.008, 0.024 "
        "by Holm.",
    ],
}
ANALYSIS_EXAMPLE: dict[str, Any] = {
    "rows": 24,
    "models": 12,
    "claims": 3,
    "relation": [{**_SETTING, "n": 12, "left_out": [], "points": [], "accuracy": _AGAINST, "given_accuracy": None}],
    "evolution": [],
    "concept_counts": [],
    "sparsity_grids": [],
    "agreement": [],
    "transfer": [],
    "untrained": [],
    "warnings": [],
}


class CountValue(ControlReadings):
    """A model's IIS at one M."""

    concept_count: int
    iis: Interval | None
    few_concepts_mean: Interval | None = None


class CountedModel(NamedModel):
    """A model's IIS over M."""

    values: list[CountValue]


class CountOrder(SameOrder):
    """How like the default M another one orders the models."""

    concept_count: int


class ConceptCountsView(SettingView):
    """IIS over M."""

    library: str
    concept_counts: list[int]
    default: int
    models: list[CountedModel]
    left_out: list[LeftOutModel]
    order: list[CountOrder]


class GridArea(NamedModel):
    """A model's retention integrated over one grid."""

    area: float | None


class GridOrder(SameOrder):
    """One grid of sparsities, and how like the default it orders the models."""

    sparsities: list[float]
    models: list[GridArea]
    interpolated: list[float] = Field(description="Sparsities between measured nodes")
    sentence: str | None


class DefaultArea(NamedModel):
    """A model's retention integrated over the default sparsities."""

    default: float | None
    iis: Interval | None


class SparsityGridsView(LibrarySetting):
    """Retention integrated over each grid of sparsities."""

    default: list[float]
    grids: list[GridOrder]
    models: list[DefaultArea]
    left_out: list[LeftOutModel]


class LibraryPair(SameOrder):
    """How alike two libraries order the models."""

    a: str
    b: str


class AgreementView(SettingView):
    """Rank correlations of IIS between libraries."""

    concept_count: int
    libraries: list[str]
    left_out: list[LeftOutModel]
    pairs: list[LibraryPair]


class TransferredModel(NamedModel):
    """A model's IIS with a library of the scored images, and with one cut from another data set."""

    own: Interval
    own_controls: ControlReadings
    other: Interval
    other_controls: ControlReadings
    difference: Interval


class TransferView(LibrarySetting, SameOrder):
    """IIS with a library of the scored images minus IIS with one cut from another data set."""

    models: list[TransferredModel]
    left_out: list[LeftOutModel]
    mean_difference: Interval | None
    sentence: str


class UntrainedModel(NamedModel):
    """A trained network beside the same one untrained, the mean of its seeds."""

    network: str | None
    untrained_models: list[NamedModel]
    accuracy: Interval
    untrained_accuracy: Interval
    trained: Interval | None
    trained_controls: ControlReadings
    untrained: Interval | None = None
    untrained_controls: ControlReadings | None = None
    difference: Interval | None
    reason: str | None


class UntrainedView(LibrarySetting):
    """Trained minus untrained networks of the same architecture."""

    models: list[UntrainedModel]
    mean_difference: Interval | None
    sentence: str


class AnalysisView(Section):
    """The statistics of the jobs of a study that have succeeded so far."""

    model_config = ConfigDict(json_schema_extra={"examples": [ANALYSIS_EXAMPLE]})

    rows: int = Field(description="Jobs that succeeded")
    models: int
    claims: int = Field(default=0, description="Correlations that sentences state; `p_holm` is adjusted over all of them")
    relation: list[RelationView] = Field(description="IIS against accuracy over models, by data set and library")
    evolution: list[EvolutionView] = Field(description="IIS and accuracy over the checkpoints of one run")
    concept_counts: list[ConceptCountsView] = Field(description="IIS over M")
    sparsity_grids: list[SparsityGridsView] = Field(description="Retention integrated over each grid of sparsities")
    agreement: list[AgreementView] = Field(description="Rank correlations of IIS between libraries")
    transfer: list[TransferView] = Field(description="Own library minus one cut from another data set")
    untrained: list[UntrainedView] = Field(description="Trained minus untrained, of the same architecture")
    warnings: list[str]
