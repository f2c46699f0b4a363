"""Curves of a score as crossed means over seeds and test images: numerators and denominator of ARR, and the estimates of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iis_engine import protocols
from iis_engine.nodes import kept_count
from iis_engine.scoring.crossed import CrossedMean, over_images, over_seeds
from iis_engine.scoring.curve import iis_weights, log_area_weights, trapezoid_weights
from iis_engine.scoring.intervals import (
    Interval,
    accuracy_interval,
    better_than_chance,
    difference_interval,
    proportion_interval,
    ratio_interval,
)
from iis_engine.scoring.measurement import Measurement
from iis_engine.specs import ProtocolName, Quantity

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; ends are None where the images set no limit."""

    value: float
    low: float | None
    high: float | None

    @staticmethod
    def of(found: Interval) -> Estimate | None:
        """The estimate of one interval; None where it is undefined, as a ratio to zero is."""
        value = float(found.estimate)
        low, high = (float(end) if np.isfinite(end) else None for end in (found.low, found.high))
        return Estimate(value, low, high) if np.isfinite(value) else None


@dataclass(frozen=True)
class Baseline:
    """Acc(h ∘ f, D), the denominator of ARR, beside the accuracy of the best constant prediction.

    Attributes
    ----------
    correct, constant : (n,) correctness of h and of the constant prediction
    quantity : of which these are the values; the accuracy, here and in `SparseCurve`, is the mean average precision of multi-label data
    """

    correct: Array
    constant: Array
    quantity: Quantity = "accuracy"

    @property
    def accuracy(self) -> float:
        return float(self.correct.mean())

    @property
    def divisor(self) -> float:
        """Accuracy, of at least one image, so that a ratio to it is finite."""
        return max(self.accuracy, 1 / len(self.correct))

    @property
    def chance(self) -> float:
        return float(self.constant.mean())

    @property
    def better_than_chance(self) -> bool:
        """Whether the 95 % interval of the paired difference lies above zero (METHOD §3)."""
        if self.quantity != "accuracy":
            return bool(difference_interval(over_images(self.correct) - over_images(self.constant)).low > 0)
        return bool(better_than_chance(self.correct, self.constant))

    def interval(self) -> Interval:
        """Accuracy of h with Wilson's interval; a mean average precision with that of a mean of values."""
        if self.quantity != "accuracy":
            return accuracy_interval(over_images(self.correct))
        return proportion_interval(self.correct)


@dataclass(frozen=True)
class SparseCurve:
    """Acc(g_cls ∘ g_s ∘ g_𝒞 ∘ f, D), the numerator of ARR, by rising sparsity.

    Attributes
    ----------
    name : of its seeds: curves of one name have the same
    concept_count : M
    protocol : exact or reference
    kept, sparsity : K numbers k and ratios s; the last k may be 0, where only the constant prediction is left
    paper_places : places of the paper's sparsities among the K
    correct : (S, K, n) per library seed
    baseline : the denominator
    """

    name: str
    concept_count: int
    protocol: ProtocolName
    kept: list[int]
    sparsity: list[float]
    paper_places: list[int]
    correct: Array
    baseline: Baseline

    @property
    def accuracy(self) -> Array:
        """(S, K)."""
        return self.correct.mean(axis=2)

    @property
    def iis_by_seed(self) -> Array:
        """IIS = ∫₀¹ ARR(s) ds (eq. 7) per library seed: (S,)."""
        return self.accuracy @ self.weights / self.baseline.divisor

    @property
    def weights(self) -> Array:
        """Weights (K,) of the integral: over [0, 1] under `exact`, over the paper's nodes under `reference`."""
        return iis_weights(self.kept, self.concept_count) if self.protocol == "exact" else self.paper_weights

    @property
    def paper_weights(self) -> Array:
        """Weights (K,) of the trapezoid over the paper's nodes in [0, .98], not extended to 1."""
        weights = np.zeros(len(self.kept))
        weights[self.paper_places] = trapezoid_weights(np.asarray(protocols.PAPER_SPARSITIES))
        return weights

    @property
    def few_places(self) -> list[int]:
        """Places of k = 5, 10, …, 30 among the nodes, as far as there are so many concepts."""
        return [self.kept.index(k) for k in protocols.FEW_CONCEPTS if k in self.kept]

    def accuracies(self) -> Interval:
        """Accuracy at every node: (K,)."""
        return accuracy_interval(self._nodes)

    def retentions(self) -> Interval:
        """ARR(s) = Acc(g_cls ∘ g_s ∘ g_𝒞 ∘ f, D) / Acc(h ∘ f, D) at every node: (K,) (eq. 6)."""
        return ratio_interval(self._nodes, self._h)

    def iis(self) -> Estimate | None:
        """IIS (eq. 7)."""
        return Estimate.of(ratio_interval(self._mean(self.weights), self._h))

    def iis_log(self) -> Estimate | None:
        """Mean ARR over log k."""
        return Estimate.of(ratio_interval(self._log, self._h))

    def chance_corrected(self) -> Estimate | None:
        """∫ (Acc(s) - chance) / (Acc_rep - chance) ds (METHOD §3)."""
        chance = over_images(self.baseline.constant)
        return Estimate.of(ratio_interval(self._mean(self.weights) - chance * self.weights.sum(), self._h - chance))

    def few(self) -> Estimate | None:
        """Mean accuracy at k = 5, 10, …, 30; None where the curve has no such node."""
        return Estimate.of(accuracy_interval(self._few)) if self.few_places else None

    def gain(self, control: SparseCurve) -> Estimate | None:
        """IIS minus that of a control on the same test images."""
        return Estimate.of(ratio_interval(self._mean(self.weights) - control._mean(control.weights), self._h))

    def headroom_gain(self, control: SparseCurve) -> Estimate | None:
        """(IIS - IIS_c) / (1 - IIS_c); None where the control leaves no headroom."""
        ours, theirs = self._mean(self.weights), control._mean(control.weights)
        if float((self._h - theirs).value) <= 0:
            return None
        return Estimate.of(ratio_interval(ours - theirs, self._h - theirs))

    def few_gain(self, control: SparseCurve) -> Estimate | None:
        """Mean accuracy at few concepts minus that of a control."""
        if not self.few_places or not control.few_places:
            return None
        return Estimate.of(difference_interval(self._few - control._few))

    @property
    def _h(self) -> CrossedMean:
        return over_images(self.baseline.correct)

    @property
    def _nodes(self) -> CrossedMean:
        return over_seeds(self.correct.transpose(1, 0, 2), self.name)

    @property
    def _log(self) -> CrossedMean:
        return self._mean(log_area_weights(self.kept))

    @property
    def _few(self) -> CrossedMean:
        weights = np.zeros(len(self.kept))
        weights[self.few_places] = 1 / len(self.few_places)
        return self._mean(weights)

    def _mean(self, weights: Array) -> CrossedMean:
        return over_seeds(np.einsum("k,skn->sn", weights, self.correct), self.name)


def read_curve(measured: Measurement, baseline: Baseline, protocol: ProtocolName, name: str) -> SparseCurve:
    """The curve of a measurement, in the order of sparsity; at s = 1 only the constant prediction is left."""
    M = measured.concept_count
    correct = measured.correct.double().numpy()
    if protocol == "reference":  # a sparsity of the paper keeps its place even where it keeps as many concepts as the one before
        paper = [(s, protocols.reference_kept(M, s)) for s in protocols.PAPER_SPARSITIES]
        few = [(1 - (k + 1) / M, k) for k in measured.kept if k not in {k for _, k in paper}]
        nodes = sorted([*paper, *few])
        paper_places = [nodes.index(node) for node in paper]
    else:
        nodes = [(1 - k / M, k) for k in (*measured.kept, 0)]
        paper_places = [[k for _, k in nodes].index(kept_count(M, s)) for s in protocols.PAPER_SPARSITIES]
    column = {k: place for place, k in enumerate((*measured.kept, 0))}
    constant = np.broadcast_to(baseline.constant, (len(correct), 1, len(baseline.constant)))
    return SparseCurve(
        name=name,
        concept_count=M,
        protocol=protocol,
        kept=[k for _, k in nodes],
        sparsity=[s for s, _ in nodes],
        paper_places=paper_places,
        correct=np.concatenate([correct, constant], axis=1)[:, [column[k] for _, k in nodes]],
        baseline=baseline,
    )


def read_curves(measured: Sequence[Measurement], names: Sequence[str], protocol: ProtocolName) -> list[SparseCurve]:
    """The curves of measurements on the same test images, with one denominator: numerator and denominator stay paired."""
    first = measured[0]
    baseline = Baseline(first.baseline_correct.double().numpy(), first.constant_correct.double().numpy(), first.quantity)
    return [read_curve(each, baseline, protocol, name) for each, name in zip(measured, names, strict=True)]
