"""The report from three measurements, the library's and those of its two controls: ARR (eq. 6), IIS (eq. 7), gains and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iis_engine import protocols
from iis_engine.features.canonical_order import in_canonical_order
from iis_engine.features.feature_set import FeatureSet
from iis_engine.report import CONTROL_NAMES, BalancedReport, ControlReport, CurvePoint, IISReport
from iis_engine.scoring.balanced import balanced_accuracy
from iis_engine.scoring.curve import panel_errors, quadrature_error
from iis_engine.scoring.measurement import Measurement
from iis_engine.scoring.report_warnings import report_warnings
from iis_engine.scoring.sparse_curves import Estimate, SparseCurve, read_curves
from iis_engine.scoring.verdict import Gain, give_verdict
from iis_engine.specs import ProtocolName

Array = NDArray[np.float64]

_ENDS = ("", "_low", "_high")
_INTEGRALS_OF_CONTROL = ("iis", "gain", "headroom_gain", "iis_log")
WITHHELD_AT_CHANCE = (*(f"{name}{end}" for name in ("iis", "iis_log", "iis_chance_corrected") for end in _ENDS), "iis_authors")
"""Fields of a report that integrate ARR."""


@dataclass(frozen=True)
class Controls:
    """The measured controls of a library (METHOD §2)."""

    isotropic: Measurement
    matched: Measurement


def summarise(
    features: FeatureSet,
    measured: Measurement,
    controls: Controls,
    protocol: ProtocolName,
    library: dict[str, Any],
    *,
    edition: int,
    scales: tuple[int, ...] = (),
) -> IISReport:
    """Assemble the report.

    Parameters
    ----------
    measured, controls : correctness under the library and its controls, on the same test images
    library : the report's description of the library
    edition : of the activations
    scales : grids of the visual elements; empty without elements
    """
    curve, *of_controls = read_curves([measured, controls.isotropic, controls.matched], ("library", *CONTROL_NAMES), protocol)
    isotropic, matched = of_controls
    baseline, of_h = curve.baseline, curve.baseline.interval()
    accuracy = curve.accuracy.mean(axis=0)
    withheld = protocol == "exact" and not baseline.better_than_chance
    verdict = give_verdict(
        better_than_chance=baseline.better_than_chance,
        over_matched=_as_gain(curve.few_gain(matched)),
        over_isotropic=_as_gain(curve.few_gain(isotropic)),
        library_kind=library["kind"],
        scales=scales,
        quantity=measured.quantity,
    )
    report = IISReport(
        protocol=protocol,
        edition=edition,
        library=library,
        class_names=features.class_names,
        train_count=len(features.y_train),
        test_count=len(features.y_test),
        dimension=features.X_train.shape[1],
        accuracy_representation=baseline.accuracy,
        accuracy_representation_low=float(of_h.low),
        accuracy_representation_high=float(of_h.high),
        chance=baseline.chance,
        points=_points(curve),
        few_concepts={str(curve.kept[place]): float(accuracy[place]) for place in curve.few_places},
        **_fields("few_concepts_mean", curve.few()),
        **_fields("iis", curve.iis()),
        controls={control.name: _control(curve, control) for control in of_controls},
        verdict={"code": verdict.code, "sentence": verdict.sentence, "next": verdict.next},
        balanced=None if features.is_multi_label else _balanced(curve, measured, features),
        quadrature_error=_quadrature_error(curve),
        iis_by_seed=tuple(float(value) for value in curve.iis_by_seed),
        iis_authors=float(accuracy @ curve.paper_weights / baseline.accuracy) if baseline.accuracy > 0 else None,
        **_fields("iis_chance_corrected", curve.chance_corrected() if baseline.better_than_chance else None),
        **_fields("iis_log", curve.iis_log()),
        optimistic=protocol == "reference",
        solver=measured.solver,
        quantity=measured.quantity,
    )
    report = replace(report, warnings=report_warnings(report, features))
    return _withhold(report) if withheld else report


def _fields(name: str, estimate: Estimate | None) -> dict[str, Any]:
    """The three fields of an estimate."""
    values = (None, None, None) if estimate is None else (estimate.value, estimate.low, estimate.high)
    return {f"{name}{end}": value for end, value in zip(_ENDS, values, strict=True)}


def _as_gain(estimate: Estimate | None) -> Gain | None:
    if estimate is None or estimate.low is None or estimate.high is None:
        return None
    return Gain(estimate.value, estimate.low, estimate.high)


def _control(curve: SparseCurve, control: SparseCurve) -> ControlReport:
    estimates: Mapping[str, Estimate | None] = {
        "iis": control.iis(),
        "gain": curve.gain(control),
        "headroom_gain": curve.headroom_gain(control),
        "iis_log": control.iis_log(),
        "few_mean": control.few(),
        "few_gain": curve.few_gain(control),
    }
    fields = {name: value for key, estimate in estimates.items() for name, value in _fields(key, estimate).items()}
    return ControlReport(points=_points(control), **fields)


def _balanced(curve: SparseCurve, measured: Measurement, features: FeatureSet) -> BalancedReport:
    """Accuracy, IIS and few-concept mean with mean per-class recall in the place of accuracy."""
    y = in_canonical_order(features).y_test if curve.protocol == "exact" else features.y_test
    accuracy = float(balanced_accuracy(measured.baseline_correct, y))
    by_node = balanced_accuracy(measured.correct, y).mean(dim=0).tolist()
    recall = dict(zip(measured.kept, by_node, strict=True)) | {0: 1 / features.class_count}
    values = np.asarray([recall[k] for k in curve.kept])
    few = values[curve.few_places]
    return BalancedReport(
        accuracy=accuracy,
        iis=float(values @ curve.weights / accuracy) if accuracy > 0 and curve.baseline.better_than_chance else None,
        few_mean=float(few.mean()) if len(few) else None,
    )


def _quadrature_error(curve: SparseCurve) -> float:
    arr = curve.accuracy.mean(axis=0) / curve.baseline.divisor
    if curve.protocol == "exact":
        return quadrature_error(arr, curve.kept, curve.concept_count)
    return float(panel_errors(arr[curve.paper_places], np.asarray(protocols.PAPER_SPARSITIES)).sum())


def _points(curve: SparseCurve) -> tuple[CurvePoint, ...]:
    """Every node with the intervals of its accuracy and ARR; an ARR to an accuracy of zero is zero.

    Where the images do not limit the ratio, its upper end is that of the numerator over the lower end of the denominator, which is at
    least one image.
    """
    baseline, accuracy, arr = curve.baseline, curve.accuracies(), curve.retentions()
    least_denominator = max(float(baseline.interval().low), 1 / len(baseline.correct))
    above_chance = baseline.accuracy - baseline.chance
    highest = np.where(np.isfinite(arr.high), arr.high, accuracy.high / least_denominator)
    values = np.nan_to_num(np.stack([arr.estimate, arr.low, highest]), neginf=0.0)
    return tuple(
        CurvePoint(
            sparsity=round(float(sparsity), 10),
            kept=kept,
            accuracy=float(accuracy.estimate[place]),
            accuracy_low=float(accuracy.low[place]),
            accuracy_high=float(accuracy.high[place]),
            arr=float(values[0, place]),
            arr_low=max(float(values[1, place]), 0.0),
            arr_high=float(values[2, place]),
            arr_chance_corrected=float(accuracy.estimate[place] - baseline.chance) / above_chance if baseline.better_than_chance else None,
        )
        for place, (kept, sparsity) in enumerate(zip(curve.kept, curve.sparsity, strict=True))
    )


def _withhold(report: IISReport) -> IISReport:
    """The report of a representation no better than chance: an ARR of .1 / .1 would read as perfect."""
    blank = {f"{name}{end}": None for name in _INTEGRALS_OF_CONTROL for end in _ENDS}
    controls = {name: replace(control, **blank) for name, control in report.controls.items()}
    return replace(report, iis_by_seed=(), controls=controls, **dict.fromkeys(WITHHELD_AT_CHANCE))
