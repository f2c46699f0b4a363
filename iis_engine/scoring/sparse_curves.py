"""Accuracies of a measurement on resampled test images: the denominator of ARR, its numerators, and estimates with intervals.

A name that ends in `_star` holds values on resampled test images: (B, ...) for B bootstrap replicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from iis_engine import protocols
from iis_engine.nodes import kept_count
from iis_engine.scoring.curve import bootstrap_accuracies, iis, interval, log_area, trapezoid
from iis_engine.scoring.measurement import Measurement
from iis_engine.specs import ProtocolName

Array = NDArray[np.float64]

SMALLEST_DENOMINATOR = 1e-12


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Baseline:
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
class Quantity:
    """A quantity per library seed, (S,), and of the seeds' mean on resampled test images, (B,)."""

    by_seed: Array
    star: Array
    stream: int

    @property
    def mean(self) -> float:
        return float(self.by_seed.mean())

    @property
    def spread(self) -> Array:
        """(B,), see `library_spread`."""
        return library_spread(self.by_seed, len(self.star), self.stream)

    def estimate(self) -> Estimate:
        return Estimate(self.mean, *bounds(self.star + self.spread))

    def minus(self, other: Quantity) -> Estimate:
        """The difference; both share the test images, not the seeds."""
        return Estimate(self.mean - other.mean, *bounds(self.star + self.spread - other.star - other.spread))

    def headroom(self, other: Quantity) -> Estimate | None:
        """(self - other) / (1 - other); None where `other` leaves no headroom."""
        if other.mean >= 1:
            return None
        ours, theirs = self.star + self.spread, other.star + other.spread
        left = np.maximum(1 - theirs, SMALLEST_DENOMINATOR)
        return Estimate((self.mean - other.mean) / (1 - other.mean), *bounds((ours - theirs) / left))


@dataclass(frozen=True)
class SparseCurve:
    """Acc(g_cls ∘ g_s ∘ g_𝒞 ∘ f, D), the numerator of ARR, by rising sparsity.

    Attributes
    ----------
    concept_count : M
    protocol : exact or reference
    kept, sparsity : K numbers k and ratios s
    paper_places : places of the paper's sparsities among the K
    accuracy : (S, K) per library seed
    star : (B, K) mean over the library seeds
    baseline : the denominator
    stream : of the seeds' spread; curves that are compared need different ones
    """

    concept_count: int
    protocol: ProtocolName
    kept: list[int]
    sparsity: list[float]
    paper_places: list[int]
    accuracy: Array
    star: Array
    baseline: Baseline
    stream: int

    @property
    def arr(self) -> Array:
        """ARR(s) = Acc(g_cls ∘ g_s ∘ g_𝒞 ∘ f, D) / Acc(h ∘ f, D) per library seed: (S, K) (eq. 6)."""
        return self.accuracy / self.baseline.denominator

    @property
    def arr_star(self) -> Array:
        """ARR(s) with numerator and denominator resampled together: (B, K)."""
        return self.star / self.baseline.denominator_star[:, None]

    @property
    def iis(self) -> Quantity:
        """IIS = ∫₀¹ ARR(s) ds (eq. 7)."""
        return Quantity(self.integral(self.arr), self.integral(self.arr_star), self.stream)

    @property
    def iis_log(self) -> Quantity:
        """Mean ARR over log k."""
        return Quantity(log_area(self.arr, self.kept), log_area(self.arr_star, self.kept), self.stream)

    @property
    def chance_corrected(self) -> Quantity:
        """∫ (Acc(s) - chance) / (Acc_rep - chance) ds, for a representation better than chance (METHOD §3)."""
        h = self.baseline
        own = (self.accuracy - h.chance) / (h.accuracy - h.chance)
        star = (self.star - h.chance_star[:, None]) / np.maximum(h.star - h.chance_star, SMALLEST_DENOMINATOR)[:, None]
        return Quantity(self.integral(own), self.integral(star), self.stream)

    @property
    def few_places(self) -> list[int]:
        """Places of k = 5, 10, …, 30 among the nodes, as far as there are so many concepts."""
        return [self.kept.index(k) for k in protocols.FEW_CONCEPTS if k in self.kept]

    @property
    def few(self) -> Quantity | None:
        """Mean accuracy at k = 5, 10, …, 30; None where the curve has no such node."""
        if not (places := self.few_places):
            return None
        return Quantity(self.accuracy[:, places].mean(axis=1), self.star[:, places].mean(axis=1), self.stream)

    def at(self, place: int) -> Quantity:
        """Accuracy at one node."""
        return Quantity(self.accuracy[:, place], self.star[:, place], self.stream)

    def arr_at(self, place: int) -> Quantity:
        """ARR at one node."""
        return Quantity(self.arr[:, place], self.arr_star[:, place], self.stream)

    def integral(self, values: Array) -> Array:
        """∫ values ds of (..., K): over [0, 1] under `exact` (eq. 7), over the paper's nodes under `reference`."""
        return iis(values, self.kept, self.concept_count) if self.protocol == "exact" else self.over_paper_nodes(values)

    def over_paper_nodes(self, values: Array) -> Array:
        """Trapezoid over the paper's nodes in [0, .98], not extended to 1."""
        return trapezoid(values[..., self.paper_places], np.asarray(protocols.PAPER_SPARSITIES))


def resample(measured: Sequence[Measurement], protocol: ProtocolName) -> list[SparseCurve]:
    """The curves of measurements on the same test images, all on the same resampled ones.

    Numerator and denominator of every ARR must be resampled together (METHOD §3).
    """
    h, constant = measured[0].baseline_correct.double().numpy(), measured[0].constant_correct.double().numpy()
    rows = [each.correct.double().flatten(0, 1).numpy() for each in measured]
    star = bootstrap_accuracies(np.concatenate([h[None], constant[None], *rows]), protocols.BOOTSTRAP_REPLICATES, seed=0)
    low, high = bounds(star[:, 0])
    baseline = Baseline(
        accuracy=float(h.mean()), low=low, high=high, star=star[:, 0], chance=float(constant.mean()), chance_star=star[:, 1]
    )
    curves: list[SparseCurve] = []
    first = 2
    for stream, (each, own) in enumerate(zip(measured, rows, strict=True)):
        curves.append(_curve(each, star[:, first : first + len(own)], baseline, protocol, stream))
        first += len(own)
    return curves


def _curve(measured: Measurement, star: Array, baseline: Baseline, protocol: ProtocolName, stream: int) -> SparseCurve:
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
    return SparseCurve(
        concept_count=M,
        protocol=protocol,
        kept=[k for _, k in nodes_shown],
        sparsity=[s for s, _ in nodes_shown],
        paper_places=paper_places,
        accuracy=accuracy[:, columns],
        star=star[:, columns],
        baseline=baseline,
        stream=stream,
    )


def library_spread(values: Array, replicates: int, stream: int = 0) -> Array:
    """(B,): what another draw of libraries adds to the mean over S seeds, Student's t with S - 1 degrees of freedom.

    Quantiles in shuffled order rather than draws: the same spread with less simulation noise. Two independent spreads need
    different streams.
    """
    if len(values) < 2:
        return np.zeros(replicates)
    scale = values.std(ddof=1) / np.sqrt(len(values))
    levels = (np.arange(replicates) + 0.5) / replicates
    return scale * np.random.default_rng(1 + stream).permutation(student_t.ppf(levels, len(values) - 1))


def bounds(star: Array) -> tuple[float, float]:
    """Central 95 % percentile interval of (B,) replicates."""
    low, high = interval(star, protocols.CONFIDENCE)
    return float(low), float(high)
