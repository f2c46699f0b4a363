"""The report of a score, as plain numbers. It imports no torch, so that a service can describe its answers with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from iis_engine.tracking.loggable import LoggableScore

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONTROL_NAMES = ("isotropic", "matched")


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
class ControlReport:
    """One control, and what the library gains over it (METHOD §2). `_low` and `_high` bound 95 %.

    Attributes
    ----------
    gain : IIS of the library minus that of the control
    headroom_gain : the same over 1 - IIS of the control
    few_mean : mean accuracy of the control at 5 to 30 kept activations
    few_gain : that of the library minus `few_mean`
    """

    points: tuple[CurvePoint, ...]
    iis: float | None
    iis_low: float | None
    iis_high: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    headroom_gain: float | None
    headroom_gain_low: float | None
    headroom_gain_high: float | None
    iis_log: float | None
    iis_log_low: float | None
    iis_log_high: float | None
    few_mean: float | None
    few_mean_low: float | None
    few_mean_high: float | None
    few_gain: float | None
    few_gain_low: float | None
    few_gain_high: float | None


@dataclass(frozen=True)
class BalancedReport:
    """The score from mean per-class recall in the place of accuracy, so that each class weighs the same (METHOD §3)."""

    accuracy: float
    iis: float | None
    few_mean: float | None


@dataclass(frozen=True)
class IISReport(LoggableScore):
    """The Inherent Interpretability Score of one representation read through one concept library.

    Every field that integrates ARR (`iis`, `iis_authors`, `iis_log`, those of the controls) is None under `exact` when the
    representation is no better than chance: ARR divides by that accuracy, and 10 % over 10 % would read as perfect.
    Under `reference` these fields are the authors' numbers even then, with a warning.

    Attributes
    ----------
    edition : of the activations: 2 for the calibrated ones of `exact`, 1 for LayerNorm alone. Scores of two editions do not compare
    controls : by name, `isotropic` and `matched`
    verdict : code, sentence and next steps, see `scoring.verdict`
    panel : measures of the sparse code, the concepts and the library; None where they were not measured
    configuration : everything that the score was computed under
    notes : what was assumed, chosen or left out while model and data were read
    quantity : in the place of every accuracy; of multi-label data the mean average precision, so that ARR(k) = mAP_k / mAP_h
    balanced : None for multi-label data
    """

    protocol: str
    edition: int
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
    few_concepts: dict[str, float]  # accuracy at 5..30 activations kept per image
    few_concepts_mean: float | None
    few_concepts_mean_low: float | None
    few_concepts_mean_high: float | None
    iis: float | None
    iis_low: float | None
    iis_high: float | None
    controls: dict[str, ControlReport]
    verdict: dict[str, Any]
    balanced: BalancedReport | None
    quadrature_error: float  # of iis, estimated
    iis_by_seed: tuple[float, ...]  # empty where `iis` is None
    iis_authors: float | None  # trapezoid over [0, .98], the authors' convention
    iis_chance_corrected: float | None
    iis_chance_corrected_low: float | None
    iis_chance_corrected_high: float | None
    iis_log: float | None
    iis_log_low: float | None
    iis_log_high: float | None
    optimistic: bool  # whether epochs and rates were selected on the test set
    solver: dict[str, float]
    panel: dict[str, Any] | None = None
    configuration: dict[str, Any] = field(default_factory=dict[str, Any])
    notes: tuple[str, ...] = ()
    quantity: str = "accuracy"  # or mean_average_precision
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values."""
        values = asdict(self)
        for name in ("points", "class_names", "iis_by_seed", "notes", "warnings"):
            values[name] = list(values[name])
        for control in values["controls"].values():
            control["points"] = list(control["points"])
        values["verdict"]["next"] = list(values["verdict"]["next"])
        if self.quantity == "accuracy":
            del values["quantity"]  # as in the reports of earlier releases
        return values

    def to_frame(self) -> Any:
        """All points of the curve and of both controls as a pandas.DataFrame; the column `curve` names the curve."""
        from iis_engine.display.frames import frame
        from iis_engine.display.reports import curve_rows

        return frame(curve_rows(self.to_dict()))

    def plot(self, name: Literal["arr", "accuracy"] = "arr") -> Figure:
        """Draw ARR or accuracy over sparsity, with both controls, as a matplotlib figure."""
        from iis_engine.figures.report import accuracy_figure, arr_figure

        return arr_figure(self.to_dict()) if name == "arr" else accuracy_figure(self.to_dict())

    def _repr_html_(self) -> str:
        from iis_engine.display.reports import report_html

        return report_html(self.to_dict())
