"""From two measurements, the library's and the control's, to the report: integrals, intervals, warnings."""

from __future__ import annotations

from dataclasses import dataclass
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
from iis_engine.specs import ProtocolName

Array = NDArray[np.float64]
OPTIMISTIC = "The reference protocol picks epochs and learning rates on the test set, so its numbers are optimistic."


@dataclass(frozen=True)
class _Curve:
    """Accuracies of a measurement, with the resampled ones beside them.

    `accuracy` (S, K) per library seed, `replicates` (B, K) of the mean over seeds, `spread` (B, K) what the draw of
    libraries adds, in units of accuracy.
    """

    kept: list[int]
    sparsity: list[float]
    paper_nodes: list[int]  # places of the paper's sparsities
    accuracy: Array
    replicates: Array
    seeds: int


def summarise(
    features: FeatureSet, measured: Measurement, control: Measurement, protocol: ProtocolName, library: dict[str, Any]
) -> IISReport:
    """Assemble the report. Numerator and denominator of every ARR are resampled together (METHOD §3)."""
    y_count = measured.baseline_correct.shape[0]
    constant = measured.constant_correct.double().numpy()
    stacked = [measured.correct.double().numpy(), control.correct.double().numpy()]
    rows = np.concatenate([measured.baseline_correct.double().numpy()[None], constant[None], *[c.reshape(-1, y_count) for c in stacked]])
    replicates = bootstrap_accuracies(rows, protocols.BOOTSTRAP_REPLICATES, seed=0)
    base, base_star = float(rows[0].mean()), replicates[:, 0]
    chance, chance_star = float(constant.mean()), replicates[:, 1]
    base_low, base_high = (float(v) for v in interval(base_star, protocols.CONFIDENCE))
    first = 2 + stacked[0].shape[0] * stacked[0].shape[1]
    curve = _curve(measured, replicates[:, 2:first], chance, chance_star, protocol)
    random = _curve(control, replicates[:, first:], chance, chance_star, protocol)

    nothing_learnt = base_low <= chance
    denominator, denominator_star = max(base, 1e-12), np.maximum(base_star, 1e-12)
    arr_seeds = curve.accuracy / denominator
    arr = arr_seeds.mean(axis=0)
    by_seed = _integral(arr_seeds, curve, measured.concept_count, protocol)
    star = _integral(curve.replicates / denominator_star[:, None], curve, measured.concept_count, protocol)
    control_seeds = _integral(random.accuracy / denominator, random, control.concept_count, protocol)
    control_star = _integral(random.replicates / denominator_star[:, None], random, control.concept_count, protocol)
    score = float(by_seed.mean())
    low, high = (float(v) for v in interval(star + _seed_spread(by_seed, len(star)), protocols.CONFIDENCE))
    gain = score - float(control_seeds.mean())
    gain_star = star - control_star + _seed_spread(by_seed, len(star)) - _seed_spread(control_seeds, len(star), 1)
    gain_low, gain_high = (float(v) for v in interval(gain_star, protocols.CONFIDENCE))
    mean_accuracy = curve.accuracy.mean(axis=0)
    corrected = None
    if not nothing_learnt:
        corrected = float(_integral((mean_accuracy - chance) / (base - chance), curve, measured.concept_count, protocol))
    random_sd = float(control_seeds.std(ddof=1)) if len(control_seeds) > 1 else 0.0

    withheld = nothing_learnt and protocol == "exact"  # it would be a high number about nothing

    def given(value: float) -> float | None:
        return None if withheld else value

    few = {str(k): float(mean_accuracy[curve.kept.index(k)]) for k in protocols.FEW_CONCEPTS if k in curve.kept}
    random_arr = random.accuracy.mean(axis=0) / denominator
    return IISReport(
        protocol=protocol,
        library=library,
        class_names=features.class_names,
        train_count=len(features.y_train),
        test_count=len(features.y_test),
        dimension=features.X_train.shape[1],
        accuracy_representation=base,
        accuracy_representation_low=base_low,
        accuracy_representation_high=base_high,
        chance=chance,
        points=_points(curve, denominator, denominator_star, chance, nothing_learnt),
        random_points=_points(random, denominator, denominator_star, chance, nothing_learnt),
        iis=given(score),
        iis_low=given(low),
        iis_high=given(high),
        quadrature_error=_error(arr, curve, measured.concept_count, protocol),
        iis_by_seed=() if withheld else tuple(float(v) for v in by_seed),
        iis_authors=given(float(_over_paper_nodes(arr, curve))),
        iis_chance_corrected=corrected,
        iis_random_mean=given(float(control_seeds.mean())),
        iis_random_sd=given(random_sd),
        concept_gain=given(gain),
        concept_gain_low=given(gain_low),
        concept_gain_high=given(gain_high),
        iis_log=given(float(log_area(arr, curve.kept))),
        iis_log_random=given(float(log_area(random_arr, random.kept))),
        few_concepts=few,
        few_concepts_mean=float(np.mean(list(few.values()))) if few else None,
        optimistic=protocol == "reference",
        solver=measured.solver,
        warnings=(
            *features.warnings,
            *_chance_warnings(base, base_low, base_high, chance),
            *_curve_warnings(curve.kept, mean_accuracy, base),
            *_data_warnings(features),
            *([OPTIMISTIC] if protocol == "reference" else []),
        ),
    )


def _curve(measured: Measurement, replicates: Array, chance: float, chance_star: Array, protocol: ProtocolName) -> _Curve:
    """Accuracy curves by rising sparsity; where nothing is kept only the constant prediction is left."""
    seeds, nodes, _ = measured.correct.shape
    M = measured.concept_count
    accuracy = np.concatenate([measured.correct.double().mean(dim=2).numpy(), np.full((seeds, 1), chance)], axis=1)
    star = np.concatenate([replicates.reshape(-1, seeds, nodes).mean(axis=1), chance_star[:, None]], axis=1)
    column = {k: i for i, k in enumerate((*measured.kept, 0))}
    if protocol == "reference":  # a sparsity of the paper keeps its place though it may keep as many concepts as the one before
        paper = [(s, protocols.reference_kept(M, s)) for s in protocols.PAPER_SPARSITIES]
        extras = [(1 - (k + 1) / M, k) for k in measured.kept if k not in {k for _, k in paper}]
        shown = sorted([*paper, *extras])
        paper_nodes = [shown.index(node) for node in paper]
    else:
        shown = [(1 - k / M, k) for k in (*measured.kept, 0)]
        kept = [k for _, k in shown]
        paper_nodes = [kept.index(kept_count(M, s)) for s in protocols.PAPER_SPARSITIES]
    columns = [column[k] for _, k in shown]
    return _Curve([k for _, k in shown], [s for s, _ in shown], paper_nodes, accuracy[:, columns], star[:, columns], seeds)


def _integral(arr: Array, curve: _Curve, concept_count: int, protocol: ProtocolName) -> Array:
    return iis(arr, curve.kept, concept_count) if protocol == "exact" else _over_paper_nodes(arr, curve)


def _over_paper_nodes(arr: Array, curve: _Curve) -> Array:
    """Trapezoid over the paper's nodes in [0, .98], not extended to 1."""
    return trapezoid(arr[..., curve.paper_nodes], np.asarray(protocols.PAPER_SPARSITIES))


def _error(arr: Array, curve: _Curve, concept_count: int, protocol: ProtocolName) -> float:
    if protocol == "exact":
        return quadrature_error(arr, curve.kept, concept_count)
    return float(panel_errors(arr[curve.paper_nodes], np.asarray(protocols.PAPER_SPARSITIES)).sum())


def _seed_spread(values: Array, replicates: int, stream: int = 0) -> Array:
    """What another draw of libraries would add to the mean over S seeds: Student's t with S - 1 degrees of freedom."""
    if len(values) < 2:
        return np.zeros(replicates)
    scale = values.std(ddof=1) / np.sqrt(len(values))
    # Quantiles in shuffled order rather than draws: the same spread without a second source of chance.
    levels = (np.arange(replicates) + 0.5) / replicates
    return scale * np.random.default_rng(1 + stream).permutation(student_t.ppf(levels, len(values) - 1))


def _points(curve: _Curve, denominator: float, denominator_star: Array, chance: float, nothing_learnt: bool) -> tuple[CurvePoint, ...]:
    points: list[CurvePoint] = []
    for i, (kept, sparsity) in enumerate(zip(curve.kept, curve.sparsity, strict=True)):
        star = curve.replicates[:, i] + _seed_spread(curve.accuracy[:, i], len(curve.replicates))
        accuracy = float(curve.accuracy[:, i].mean())
        low, high = interval(star, protocols.CONFIDENCE)
        arr_low, arr_high = interval(star / denominator_star, protocols.CONFIDENCE)
        corrected = None if nothing_learnt else (accuracy - chance) / (denominator - chance)
        points.append(
            CurvePoint(
                round(float(sparsity), 10),
                kept,
                accuracy,
                max(float(low), 0.0),
                min(float(high), 1.0),
                accuracy / denominator,
                max(float(arr_low), 0.0),
                float(arr_high),
                corrected,
            )
        )
    return tuple(points)


def _chance_warnings(base: float, low: float, high: float, chance: float) -> list[str]:
    if low > chance:
        return []
    return [
        f"The representation classifies no better than chance ({base:.3f}, 95 % interval {low:.3f} to {high:.3f}; "
        f"always naming the commonest class gives {chance:.3f}), so its ARR and IIS carry no information."
    ]


def _curve_warnings(kept: list[int], accuracy: Array, base: float) -> list[str]:
    above = [k for k, a in zip(kept, accuracy, strict=True) if a > base]
    if not above:
        return []
    return [
        f"ARR exceeds 1 at {len(above)} of {len(kept)} nodes: the sparse head there generalises better than the head on the "
        "whole representation."
    ]


def _data_warnings(features: FeatureSet) -> list[str]:
    few = [name for label, name in enumerate(features.class_names) if int((features.y_train == label).sum()) < 5]
    if not few:
        return []
    return [f"{len(few)} classes have fewer than five training images ({', '.join(few[:5])})."]
