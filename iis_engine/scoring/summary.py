"""The report from two measurements, the library's and the random control's: ARR (eq. 6), IIS (eq. 7), their intervals, and warnings.

A name that ends in `_star` holds values on resampled test images: (B, ...) for B bootstrap replicates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from iis_engine import protocols
from iis_engine.features.feature_set import FeatureSet
from iis_engine.nodes import kept_count
from iis_engine.report import CurvePoint, IISReport
from iis_engine.scoring.curve import bootstrap_accuracies, iis, interval, log_area, panel_errors, quadrature_error, trapezoid
from iis_engine.scoring.measurement import Measurement
from iis_engine.scoring.report_warnings import report_warnings
from iis_engine.specs import ProtocolName

Array = NDArray[np.float64]

SMALLEST_DENOMINATOR = 1e-12
WITHHELD_AT_CHANCE = (
    *("iis", "iis_low", "iis_high", "iis_authors", "iis_log", "iis_log_random", "iis_random_mean", "iis_random_sd"),
    *("concept_gain", "concept_gain_low", "concept_gain_high"),
)
"""Fields of a report that integrate ARR."""


def summarise(
    features: FeatureSet, measured: Measurement, control: Measurement, protocol: ProtocolName, library: dict[str, Any]
) -> IISReport:
    """Assemble the report.

    Parameters
    ----------
    measured, control : correctness under the library and under random directions, on the same test images
    library : the report's description of the library
    """
    baseline, accuracy_star, control_star = _resample(measured, control)
    curve = _curve(measured, accuracy_star, baseline, protocol)
    random = _curve(control, control_star, baseline, protocol)
    arr, random_arr = curve.arr(baseline).mean(axis=0), random.accuracy.mean(axis=0) / baseline.denominator
    score, random_score = _integrate(curve, baseline, protocol), _integrate(random, baseline, protocol)
    iis_low, iis_high = _bounds(score.star + score.library_spread())
    gain_low, gain_high = _bounds(
        score.star - random_score.star + score.library_spread() - random_score.library_spread(stream=1),
    )
    accuracy = curve.accuracy.mean(axis=0)
    few_concepts = {str(k): float(accuracy[curve.kept.index(k)]) for k in protocols.FEW_CONCEPTS if k in curve.kept}
    report = IISReport(
        protocol=protocol,
        library=library,
        class_names=features.class_names,
        train_count=len(features.y_train),
        test_count=len(features.y_test),
        dimension=features.X_train.shape[1],
        accuracy_representation=baseline.accuracy,
        accuracy_representation_low=baseline.low,
        accuracy_representation_high=baseline.high,
        chance=baseline.chance,
        points=_points(curve, baseline),
        random_points=_points(random, baseline),
        iis=score.mean,
        iis_low=iis_low,
        iis_high=iis_high,
        quadrature_error=_quadrature_error(arr, curve, protocol),
        iis_by_seed=tuple(float(value) for value in score.by_seed),
        iis_authors=float(_over_paper_nodes(arr, curve)),
        iis_chance_corrected=_iis_chance_corrected(curve, baseline, protocol),
        iis_random_mean=random_score.mean,
        iis_random_sd=random_score.deviation,
        concept_gain=score.mean - random_score.mean,
        concept_gain_low=gain_low,
        concept_gain_high=gain_high,
        iis_log=float(log_area(arr, curve.kept)),
        iis_log_random=float(log_area(random_arr, random.kept)),
        few_concepts=few_concepts,
        few_concepts_mean=float(np.mean(list(few_concepts.values()))) if few_concepts else None,
        optimistic=protocol == "reference",
        solver=measured.solver,
    )
    report = replace(report, warnings=report_warnings(report, features))
    return _withhold(report) if protocol == "exact" and not baseline.better_than_chance else report


@dataclass(frozen=True)
class _Baseline:
    """Acc(h ∘ f, D), the denominator of ARR, beside the accuracy of the best constant prediction.

    Attributes
    ----------
    accuracy, low, high : of h, with its 95 % interval
    star : (B,) of h
    chance, chance_star : of the constant prediction; `chance_star` is (B,)
    """

    accuracy: float
    low: float
    high: float
    star: Array
    chance: float
    chance_star: Array

    @property
    def better_than_chance(self) -> bool:
        return self.low > self.chance

    @property
    def denominator(self) -> float:
        return max(self.accuracy, SMALLEST_DENOMINATOR)

    @property
    def denominator_star(self) -> Array:
        return np.maximum(self.star, SMALLEST_DENOMINATOR)


@dataclass(frozen=True)
class _Curve:
    """Acc(g_cls ∘ g_s ∘ g_𝒞 ∘ f, D), the numerator of ARR, by rising sparsity.

    Attributes
    ----------
    concept_count : M
    kept, sparsity : K numbers k and ratios s
    paper_places : places of the paper's sparsities among the K
    accuracy : (S, K) per library seed
    star : (B, K) mean over the library seeds
    """

    concept_count: int
    kept: list[int]
    sparsity: list[float]
    paper_places: list[int]
    accuracy: Array
    star: Array

    def arr(self, baseline: _Baseline) -> Array:
        """ARR(s) = Acc(g_cls ∘ g_s ∘ g_𝒞 ∘ f, D) / Acc(h ∘ f, D) per library seed: (S, K) (eq. 6)."""
        return self.accuracy / baseline.denominator

    def arr_star(self, baseline: _Baseline) -> Array:
        """ARR(s) with numerator and denominator resampled together: (B, K)."""
        return self.star / baseline.denominator_star[:, None]


@dataclass(frozen=True)
class _Integral:
    """IIS = ∫₀¹ ARR(s) ds (eq. 7) per library seed, (S,), and of the seeds' mean on resampled test images, (B,)."""

    by_seed: Array
    star: Array

    @property
    def mean(self) -> float:
        return float(self.by_seed.mean())

    @property
    def deviation(self) -> float:
        """Standard deviation over the library seeds; 0 with one seed."""
        return float(self.by_seed.std(ddof=1)) if len(self.by_seed) > 1 else 0.0

    def library_spread(self, stream: int = 0) -> Array:
        return _library_spread(self.by_seed, len(self.star), stream)


def _resample(measured: Measurement, control: Measurement) -> tuple[_Baseline, Array, Array]:
    """The baseline, and accuracies (B, S·K) of library and control, all on the same resampled test images.

    Numerator and denominator of every ARR must be resampled together (METHOD §3).
    """
    h, constant = measured.baseline_correct.double().numpy(), measured.constant_correct.double().numpy()
    library, random = (each.correct.double().flatten(0, 1).numpy() for each in (measured, control))
    star = bootstrap_accuracies(np.concatenate([h[None], constant[None], library, random]), protocols.BOOTSTRAP_REPLICATES, seed=0)
    low, high = _bounds(star[:, 0])
    baseline = _Baseline(
        accuracy=float(h.mean()), low=low, high=high, star=star[:, 0], chance=float(constant.mean()), chance_star=star[:, 1]
    )
    first_of_control = 2 + len(library)
    return baseline, star[:, 2:first_of_control], star[:, first_of_control:]


def _curve(measured: Measurement, star: Array, baseline: _Baseline, protocol: ProtocolName) -> _Curve:
    """Accuracies in the order of the curve; at s = 1 only the constant prediction is left.

    Parameters
    ----------
    star : (B, S·K) accuracies per seed and node of `measured`
    """
    seeds, nodes, _ = measured.correct.shape
    M = measured.concept_count
    accuracy = np.concatenate([measured.correct.double().mean(dim=2).numpy(), np.full((seeds, 1), baseline.chance)], axis=1)
    star = np.concatenate([star.reshape(-1, seeds, nodes).mean(axis=1), baseline.chance_star[:, None]], axis=1)
    if protocol == "reference":  # a sparsity of the paper keeps its place even where it keeps as many concepts as the one before
        paper = [(s, protocols.reference_kept(M, s)) for s in protocols.PAPER_SPARSITIES]
        few = [(1 - (k + 1) / M, k) for k in measured.kept if k not in {k for _, k in paper}]
        nodes_shown = sorted([*paper, *few])
        paper_places = [nodes_shown.index(node) for node in paper]
    else:
        nodes_shown = [(1 - k / M, k) for k in (*measured.kept, 0)]
        paper_places = [[k for _, k in nodes_shown].index(kept_count(M, s)) for s in protocols.PAPER_SPARSITIES]
    column = {k: place for place, k in enumerate((*measured.kept, 0))}
    columns = [column[k] for _, k in nodes_shown]
    return _Curve(
        concept_count=M,
        kept=[k for _, k in nodes_shown],
        sparsity=[s for s, _ in nodes_shown],
        paper_places=paper_places,
        accuracy=accuracy[:, columns],
        star=star[:, columns],
    )


def _integrate(curve: _Curve, baseline: _Baseline, protocol: ProtocolName) -> _Integral:
    return _Integral(
        by_seed=_integral(curve.arr(baseline), curve, protocol),
        star=_integral(curve.arr_star(baseline), curve, protocol),
    )


def _integral(arr: Array, curve: _Curve, protocol: ProtocolName) -> Array:
    """∫ ARR(s) ds of (..., K): over [0, 1] under `exact` (eq. 7), over the paper's nodes under `reference`."""
    return iis(arr, curve.kept, curve.concept_count) if protocol == "exact" else _over_paper_nodes(arr, curve)


def _over_paper_nodes(arr: Array, curve: _Curve) -> Array:
    """Trapezoid over the paper's nodes in [0, .98], not extended to 1."""
    return trapezoid(arr[..., curve.paper_places], np.asarray(protocols.PAPER_SPARSITIES))


def _quadrature_error(arr: Array, curve: _Curve, protocol: ProtocolName) -> float:
    if protocol == "exact":
        return quadrature_error(arr, curve.kept, curve.concept_count)
    return float(panel_errors(arr[curve.paper_places], np.asarray(protocols.PAPER_SPARSITIES)).sum())


def _iis_chance_corrected(curve: _Curve, baseline: _Baseline, protocol: ProtocolName) -> float | None:
    """∫ (Acc(s) - chance) / (Acc_rep - chance) ds; None where h is no better than chance (METHOD §3)."""
    if not baseline.better_than_chance:
        return None
    corrected = (curve.accuracy.mean(axis=0) - baseline.chance) / (baseline.accuracy - baseline.chance)
    return float(_integral(corrected, curve, protocol))


def _points(curve: _Curve, baseline: _Baseline) -> tuple[CurvePoint, ...]:
    """Every node with the intervals of its accuracy and ARR."""
    points: list[CurvePoint] = []
    for place, (kept, sparsity) in enumerate(zip(curve.kept, curve.sparsity, strict=True)):
        star = curve.star[:, place] + _library_spread(curve.accuracy[:, place], len(curve.star))
        accuracy = float(curve.accuracy[:, place].mean())
        accuracy_low, accuracy_high = _bounds(star)
        arr_low, arr_high = _bounds(star / baseline.denominator_star)
        corrected = (accuracy - baseline.chance) / (baseline.denominator - baseline.chance) if baseline.better_than_chance else None
        points.append(
            CurvePoint(
                sparsity=round(float(sparsity), 10),
                kept=kept,
                accuracy=accuracy,
                accuracy_low=max(accuracy_low, 0.0),
                accuracy_high=min(accuracy_high, 1.0),
                arr=accuracy / baseline.denominator,
                arr_low=max(arr_low, 0.0),
                arr_high=arr_high,
                arr_chance_corrected=corrected,
            )
        )
    return tuple(points)


def _library_spread(values: Array, replicates: int, stream: int = 0) -> Array:
    """(B,): what another draw of libraries adds to the mean over S seeds, Student's t with S - 1 degrees of freedom.

    Quantiles in shuffled order rather than draws: the same spread with less simulation noise. Two independent spreads need
    different streams.
    """
    if len(values) < 2:
        return np.zeros(replicates)
    scale = values.std(ddof=1) / np.sqrt(len(values))
    levels = (np.arange(replicates) + 0.5) / replicates
    return scale * np.random.default_rng(1 + stream).permutation(student_t.ppf(levels, len(values) - 1))


def _bounds(star: Array) -> tuple[float, float]:
    """Central 95 % percentile interval of (B,) replicates."""
    low, high = interval(star, protocols.CONFIDENCE)
    return float(low), float(high)


def _withhold(report: IISReport) -> IISReport:
    """The report of a representation no better than chance: an ARR of .1 / .1 would read as perfect."""
    return replace(report, iis_by_seed=(), **dict.fromkeys(WITHHELD_AT_CHANCE))
