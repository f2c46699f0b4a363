"""The report of a score, as plain numbers. It imports no torch, so that a service can describe its answers with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class CurvePoint:
    """One node of the ARR curve, with 95 % intervals."""

    sparsity: float  # s
    kept: int  # k
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    arr: float  # ARR(s), accuracy over that of the representation (eq. 6)
    arr_low: float
    arr_high: float
    arr_chance_corrected: float | None  # (acc - chance) / (acc_rep - chance); None where the denominator is no better than chance


@dataclass(frozen=True)
class IISReport:
    """The Inherent Interpretability Score of one representation read through one concept library.

    Every field that integrates ARR (`iis`, `iis_authors`, `iis_log`, those of the random control, the gain) is None under `exact`
    when the representation is no better than chance: ARR divides by that accuracy, and 10 % over 10 % would read as perfect.
    Under `reference` these fields are the authors' numbers even then, with a warning.
    """

    protocol: str
    library: dict[str, Any]
    class_names: tuple[str, ...]
    train_count: int
    test_count: int
    dimension: int
    accuracy_representation: float
    accuracy_representation_low: float
    accuracy_representation_high: float
    chance: float  # accuracy of the best constant prediction
    points: tuple[CurvePoint, ...]
    random_points: tuple[CurvePoint, ...]
    iis: float | None
    iis_low: float | None
    iis_high: float | None
    quadrature_error: float  # of iis, estimated
    iis_by_seed: tuple[float, ...]  # empty where `iis` is None
    iis_authors: float | None  # trapezoid over [0, .98], the authors' convention
    iis_chance_corrected: float | None
    iis_random_mean: float | None
    iis_random_sd: float | None
    concept_gain: float | None
    concept_gain_low: float | None
    concept_gain_high: float | None
    iis_log: float | None
    iis_log_random: float | None
    few_concepts: dict[str, float]  # accuracy at 5..30 effective concepts
    few_concepts_mean: float | None
    optimistic: bool  # whether epochs and rates were selected on the test set
    solver: dict[str, float]
    warnings: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values."""
        values = asdict(self)
        for name in ("points", "random_points", "class_names", "iis_by_seed", "warnings"):
            values[name] = list(values[name])
        return values
