"""How often the 95 % intervals of a report hold the true value, and how wide they are, on simulated test sets.

    python -m benchmarks.coverage [--test-sets 400] [--measured population.npz]

The true value is that of a population of test images and seeds without end, for one training set. Base accuracies vary by ±.005 over
test sets: a count of correct images takes whole values, so that near 1 the coverage at one accuracy jumps with the accuracy for every
possible interval (Brown, Cai and DasGupta 2001). Coverage over 400 test sets has a standard error of .011.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.populations import CONCEPT_COUNT, MeasuredPopulation, Population, TestSets, ThresholdModel
from benchmarks.timing import machine, timed
from iis_engine import protocols
from iis_engine.scoring.crossed import CrossedMean, over_images, over_seeds
from iis_engine.scoring.curve import iis_weights, log_area_weights
from iis_engine.scoring.intervals import (
    Interval,
    accuracy_interval,
    better_than_chance,
    difference_interval,
    proportion_interval,
    ratio_interval,
)

Array = NDArray[np.float64]

IMAGE_COUNTS = (100, 300, 1000)
BASE_ACCURACIES = ((0.44, 0.1), (0.88, 0.1), (0.99, 0.1), (0.97, 0.91))  # with the share of the largest class
NODES_SHOWN = (5, 20, 200)
GUESSING_SETS = 20_000
BATCH_IMAGES = 10_000  # drawn at a time, which bounds memory


class _Curve:
    """Means of one curve of T test sets."""

    def __init__(self, correct: Array, kept: Sequence[int], constant: Array, group: str) -> None:
        self.correct = correct  # (T, S, K, n)
        self.kept = list(kept)
        self.constant = constant
        self.group = group

    def at(self, kept: int) -> CrossedMean:
        return over_seeds(self.correct[:, :, self.kept.index(kept)], self.group)

    def weighted(self, weights: Array) -> CrossedMean:
        """Σ weights · accuracy over the nodes and k = 0, the constant prediction."""
        return over_seeds(np.einsum("tskn,k->tsn", self.correct, weights[:-1]), self.group) + over_images(self.constant) * weights[-1]

    def area(self) -> CrossedMean:
        return self.weighted(iis_weights([*self.kept, 0], CONCEPT_COUNT))

    def log_area(self) -> CrossedMean:
        return self.weighted(log_area_weights([*self.kept, 0]))

    def few(self) -> CrossedMean:
        return self.weighted(np.isin([*self.kept, 0], protocols.FEW_CONCEPTS) / len(protocols.FEW_CONCEPTS))


def intervals(sets: TestSets) -> dict[str, Interval]:
    """The report's quantities by name, each with T intervals."""
    library = _Curve(sets.library, sets.library_kept, sets.constant, "library")
    control = _Curve(sets.control, sets.control_kept, sets.constant, "control")
    h, constant = over_images(sets.h), over_images(sets.constant)
    area, control_area = library.area(), control.area()
    return {
        "accuracy of h": proportion_interval(sets.h),
        **{f"accuracy at k = {k}": accuracy_interval(library.at(k)) for k in NODES_SHOWN},
        **{f"ARR at k = {k}": ratio_interval(library.at(k), h) for k in NODES_SHOWN},
        "IIS": ratio_interval(area, h),
        "IIS of control": ratio_interval(control_area, h),
        "log IIS": ratio_interval(library.log_area(), h),
        "few concepts": accuracy_interval(library.few()),
        "IIS, chance-corrected": ratio_interval(area - constant, h - constant),
        "gain": ratio_interval(area - control_area, h),
        "log gain": ratio_interval(library.log_area() - control.log_area(), h),
        "few-concept gain": difference_interval(library.few() - control.few()),
        "headroom gain": ratio_interval(area - control_area, h - control_area),
    }


@dataclass
class Record:
    """One quantity over all test sets, in batches of (T,) each: whether the interval holds the true value, its width, and the error."""

    covered: list[NDArray[np.bool_]] = field(default_factory=list)
    width: list[Array] = field(default_factory=list)
    error: list[Array] = field(default_factory=list)

    @property
    def coverage(self) -> float:
        return float(np.concatenate(self.covered).mean())

    def add(self, found: Interval, truth: Array) -> None:
        """Append a batch of intervals."""
        self.covered.append((found.low <= truth) & (truth <= found.high))
        self.width.append(found.high - found.low)
        self.error.append(found.estimate - truth)

    def row(self, name: str) -> str:
        """Coverage, coverage where both ends are finite, share of these, median width, and that over the width needed."""
        covered, width, error = np.concatenate(self.covered), np.concatenate(self.width), np.concatenate(self.error)
        finite = np.isfinite(width)
        if not finite.any():
            return f"| {name} | {covered.mean():.3f} | - | 0.00 | - | - |"
        low, high = np.quantile(error[finite], ((1 - protocols.CONFIDENCE) / 2, (1 + protocols.CONFIDENCE) / 2))
        median = float(np.median(width[finite]))
        shares = f"{covered.mean():.3f} | {covered[finite].mean():.3f} | {finite.mean():.2f}"
        return f"| {name} | {shares} | {median:.4f} | {median / (high - low):.2f} |"


def measure_coverage(population: Population, image_count: int, test_sets: int) -> tuple[dict[str, Record], float]:
    """Draw test sets and record each quantity; the second value is the share of test sets where h is better than chance."""
    generator = np.random.default_rng(image_count)
    records: dict[str, Record] = {}
    passed = 0
    batch = max(1, BATCH_IMAGES // image_count)
    for start in range(0, test_sets, batch):
        drawn, true = population.draw(min(batch, test_sets - start), image_count, generator)
        passed += int(better_than_chance(drawn.h, drawn.constant).sum())
        truths = intervals(true)
        for name, found in intervals(drawn).items():
            records.setdefault(name, Record()).add(found, truths[name].estimate)
    return records, passed / test_sets


def print_coverage(title: str, population: Population, image_count: int, test_sets: int) -> None:
    """Print a line for each quantity."""
    records, passed = measure_coverage(population, image_count, test_sets)
    print(f"\n{title}, n = {image_count}: h is better than chance in {passed:.3f} of {test_sets} test sets\n")
    print("| quantity | coverage | where finite | finite | width | width / needed |\n| --- | --- | --- | --- | --- | --- |")
    print("\n".join(record.row(name) for name, record in records.items()), flush=True)


def guessing_heads_that_pass(image_count: int, accuracy: float, disagreement: float) -> float:
    """Share of heads as good as the constant prediction that pass as better.

    Parameters
    ----------
    accuracy : of both in the population
    disagreement : share of images on which just h is right, and as many on which just the constant prediction is
    """
    generator = np.random.default_rng(image_count)
    shares = [disagreement, disagreement, accuracy - disagreement, 1 - accuracy - disagreement]
    drawn = generator.choice(4, size=(GUESSING_SETS, image_count), p=shares)
    return float(better_than_chance(np.isin(drawn, (0, 2)).astype(np.float64), np.isin(drawn, (1, 2)).astype(np.float64)).mean())


def main() -> None:
    """Print coverage over all populations; for the model, the share of guessing heads that pass too."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description="Coverage of the report's 95 % intervals.")
    parser.add_argument("--test-sets", type=int, default=400, help="test sets drawn from each population")
    parser.add_argument("--measured", type=Path, help="file of `python -m benchmarks.populations` to draw from instead of the model")
    arguments = parser.parse_args()
    path: Path | None = arguments.measured
    print(machine())
    elapsed, _ = timed(lambda: _measured(path, arguments.test_sets) if path else _modelled(arguments.test_sets))
    print(f"\n{elapsed.cpu:.0f} seconds of one core")


def _measured(path: Path, test_sets: int) -> None:
    population = MeasuredPopulation.read(path)
    for image_count in IMAGE_COUNTS:
        print_coverage(path.stem, population, image_count, test_sets)


def _modelled(test_sets: int) -> None:
    for accuracy, majority in BASE_ACCURACIES:
        for image_count in IMAGE_COUNTS:
            title = f"Accuracy {accuracy}, largest class {majority:.0%}"
            print_coverage(title, ThresholdModel(accuracy, majority), image_count, test_sets)
    print("\nGuessing heads that pass as better than chance:\n\n| population | n = 100 | n = 300 | n = 1000 |\n| --- | --- | --- | --- |")
    guessing: tuple[tuple[str, float, float], ...] = (("ten equal classes", 0.1, 0.09), ("largest class 91 %", 0.91, 0.03))
    for name, accuracy, disagreement in guessing:
        shares = " | ".join(f"{guessing_heads_that_pass(n, accuracy, disagreement):.3f}" for n in IMAGE_COUNTS)
        print(f"| {name} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
