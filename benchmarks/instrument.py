"""The score as a measuring instrument: reseeding, training sets, least visible differences, and the checkpoints of one training run.

    python -m benchmarks.instrument [reseeding] [training-sets] [controls] [checkpoints]

prints the tables of docs/validation.md, from the pixels of digits, from planted concepts (`benchmarks.validation`), and from the
checkpoints of the demo's network.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from benchmarks.golden import digit_pixels
from benchmarks.timing import machine
from benchmarks.validation import plant
from demo.checkpoints import ARCHITECTURE, train_checkpoints, write_digits
from iis_engine import protocols
from iis_engine.backbones.factory import load_backbone
from iis_engine.data.datasets import read_image_folder
from iis_engine.features.canonical_order import in_canonical_order
from iis_engine.features.extraction import extract_features
from iis_engine.features.feature_set import FeatureSet
from iis_engine.heads.logistic import predict
from iis_engine.heads.model_selection import TrainingRows, solve_at
from iis_engine.heads.sparse_blocks import Source
from iis_engine.libraries.calibration import calibrate
from iis_engine.scoring.crossed import CrossedMean, crossed_covariance, over_images, over_seeds
from iis_engine.scoring.curve import iis_weights
from iis_engine.scoring.ensemble import build_libraries
from iis_engine.scoring.measure import matched_libraries, measure_library, measure_matched
from iis_engine.scoring.measurement import Measurement
from iis_engine.scoring.sparse_curves import SparseCurve, read_curves
from iis_engine.specs import BackboneSpec, ElementSpec, LibraryKind, LibrarySpec, ScoreSpec

Array = NDArray[np.float64]

CONCEPTS = 40
KINDS: tuple[LibraryKind, ...] = ("cluster", "prototype")
WHOLE_IMAGES = ElementSpec(scales=(1,))
RESEEDINGS = 4
TRAINING_SETS, TRAINING_ROWS = 5, 800
TRAINING_STEPS = (70, 112, 420)
IMAGE_COUNTS = (100, 300, 1000, 3000)
ACCURACY_BINS = (0.0, 0.01, 0.03, 0.1, 1.0)
QUANTILE, POWER = float(norm.ppf((1 + protocols.CONFIDENCE) / 2)), float(norm.ppf(0.8))


@dataclass(frozen=True)
class Reading:
    """One score, with its curves as crossed means over seeds and test images, in the order of the data set.

    Attributes
    ----------
    name : of its library seeds
    accuracy : of h
    few : mean accuracy at 5 to 30 kept activations
    area : numerator of IIS
    """

    name: str
    accuracy: CrossedMean
    few: CrossedMean
    area: CrossedMean

    @property
    def iis(self) -> float:
        return float(self.area.value / self.accuracy.value)

    def iis_error(self) -> CrossedMean:
        """Error of the ratio IIS, to first order: a crossed mean of value 0 whose variance is that of IIS."""
        return (self.area - self.accuracy * self.iis) * (1 / float(self.accuracy.value))


@dataclass(frozen=True)
class Difference:
    """A difference of two readings of the same images: `error` is a crossed mean with its variance, of any value."""

    value: float
    error: CrossedMean

    def standard_error(self, image_count: int | None = None) -> float:
        """With the measured number of test images, or with another number of such images."""
        variance = crossed_covariance(self.error, self.error)
        share = 1.0 if image_count is None else self.error.image_count / image_count
        return float(np.sqrt(max(float(variance.image) * share + max(float(variance.seed), 0.0), 0.0)))

    def is_visible(self) -> bool:
        """Whether the 95 % interval excludes zero."""
        return abs(self.value) > QUANTILE * self.standard_error()

    def least_visible(self, image_count: int) -> float:
        """The difference that is visible in four of five test sets of `image_count` images."""
        return (QUANTILE + POWER) * self.standard_error(image_count)


def read_library(features: FeatureSet, spec: ScoreSpec, name: str = "library") -> Reading:
    """A library's score."""
    return _readings(features, [measure_library(features, build_libraries(features, spec, device="cpu"), spec, device="cpu")], [name])[0]


def read_with_control(features: FeatureSet, spec: ScoreSpec) -> tuple[Reading, Reading]:
    """A library's score and that of its matched control."""
    ensemble = build_libraries(features, spec, device="cpu")
    measured = measure_library(features, ensemble, spec, device="cpu")
    control = measure_matched(features, matched_libraries(features, ensemble, spec, device="cpu"), spec, device="cpu")
    library, matched = _readings(features, [measured, control], ["library", "matched"])
    return library, matched


def _readings(features: FeatureSet, measured: Sequence[Measurement], names: Sequence[str]) -> list[Reading]:
    order = in_canonical_order(features).test_rows
    places = np.arange(len(features.y_test)) if order is None else np.argsort(order.numpy(), kind="stable")
    return [_reading(curve, places) for curve in read_curves(measured, names, "exact")]


def _reading(curve: SparseCurve, places: NDArray[np.int64]) -> Reading:
    few = np.zeros(len(curve.kept))
    few[curve.few_places] = 1 / len(curve.few_places)
    of_images = (np.einsum("k,skn->sn", weights, curve.correct)[:, places] for weights in (few, curve.weights))
    few_mean, area = (over_seeds(values, curve.name) for values in of_images)
    return Reading(curve.name, over_images(curve.baseline.correct[places]), few_mean, area)


def differences(first: Reading, second: Reading) -> Mapping[str, Difference]:
    """First minus second by quantity."""
    accuracy, few = first.accuracy - second.accuracy, first.few - second.few
    return {
        "accuracy of h": Difference(float(accuracy.value), accuracy),
        "few": Difference(float(few.value), few),
        "IIS": Difference(first.iis - second.iis, first.iis_error() - second.iis_error()),
    }


def reseeding(_: Path) -> None:
    """Standard deviation over library seeds, over new seeds of everything, and over starting weights of the heads."""
    features = plant(train=TRAINING_ROWS).features
    _print_head("Reseeding: standard deviations", "library, quantity", "mean", "one library seed", "all seeds", "starting weights")
    for kind in KINDS:
        starts = _sd_over_starts(features, kind)
        specs = [replace(_spec(kind), seed=protocols.LIBRARY_SEEDS * number) for number in range(RESEEDINGS)]
        readings = [read_with_control(features, spec) for spec in specs]
        by_seed = {
            "few": np.array([own.few.groups["library"].mean(axis=1) for own, _ in readings]),
            "IIS": np.array([own.area.groups["library"].mean(axis=1) / float(own.accuracy.value) for own, _ in readings]),
        }
        for quantity, values in by_seed.items():
            one, every = np.sqrt(values.var(axis=1, ddof=1).mean()), values.mean(axis=1).std(ddof=1)
            print(f"| {kind}, {quantity} | {values.mean():.4f} | {one:.4f} | {every:.4f} | {starts[quantity]:.6f} |", flush=True)
        gains = np.array([float((own.few - control.few).value) for own, control in readings])
        print(f"| {kind}, few-concept gain over matched | {gains.mean():+.4f} | - | {gains.std(ddof=1):.4f} | - |", flush=True)


def _sd_over_starts(features: FeatureSet, kind: LibraryKind) -> dict[str, float]:
    """Standard deviation of IIS and of few over random starting weights of g_cls, for one library."""
    spec = _spec(kind)
    ensemble = build_libraries(features, spec, device="cpu")
    one = replace(ensemble, libraries=ensemble.libraries[:1])
    measured, ordered = measure_library(features, one, spec, device="cpu"), in_canonical_order(features)
    library = calibrate(one.primary, ordered.X_train).apply(one.primary)
    train, test = (Source.of(library.activations(X)) for X in (ordered.X_train, ordered.X_test))
    rows = TrainingRows(ordered.y_train, torch.zeros(len(ordered.y_train), dtype=torch.bool), features.class_count)
    generator = torch.Generator().manual_seed(0)
    few = [measured.kept.index(k) for k in protocols.FEW_CONCEPTS]
    weights = iis_weights([*measured.kept, 0], CONCEPTS)[:-1]
    values: list[tuple[float, float]] = []
    for _ in range(RESEEDINGS):
        start = torch.randn(measured.heads.shape, generator=generator)
        solved = solve_at(train, measured.kept, measured.strengths[0], rows, start=start)
        accuracy = np.array(
            [
                float((predict(test, kept, solved.weights[[place]])[:, 0].argmax(dim=1) == ordered.y_test).double().mean())
                for place, kept in enumerate(measured.kept)
            ]
        )
        values.append((float(accuracy @ weights) / float(measured.baseline_correct.mean()), float(accuracy[few].mean())))
    deviations: Array = np.array(values).std(axis=0, ddof=1)
    return dict(zip(("IIS", "few"), deviations.tolist(), strict=True))


def training_sets(_: Path) -> None:
    """Standard deviation over training sets of planted concepts, with the same elements and test rows."""
    world = plant(train=TRAINING_SETS * TRAINING_ROWS).features
    parts = zip(world.X_train.split(TRAINING_ROWS), world.y_train.split(TRAINING_ROWS), strict=True)
    features = [replace(world, X_train=X, y_train=y) for X, y in parts]
    _print_head("Training sets: standard deviations", "library", "few", "IIS", "few-concept gain over matched", "accuracy of h")
    for kind in KINDS:
        readings = [read_with_control(each, _spec(kind)) for each in features]
        values = np.array(
            [[float(own.few.value), own.iis, float((own.few - control.few).value), float(own.accuracy.value)] for own, control in readings]
        )
        print(f"| {kind} | {' | '.join(f'{sd:.4f}' for sd in values.std(axis=0, ddof=1))} |", flush=True)


def controls(_: Path) -> None:
    """The least visible difference of a library and its matched control."""
    sets = {"digit pixels": digit_pixels(), "planted": plant().features}
    pairs = {f"{name}, {kind}": read_with_control(features, _spec(kind)) for name, features in sets.items() for kind in KINDS}
    _print_least_differences("a library and its matched control", pairs)


def _print_least_differences(title: str, pairs: Mapping[str, tuple[Reading, Reading]]) -> None:
    counts = [f"n = {n}" for n in IMAGE_COUNTS]
    _print_head(f"Least differences that are visible in four of five test sets: {title}", "pair", "quantity", "measured", *counts)
    for name, (first, second) in pairs.items():
        for quantity, difference in differences(first, second).items():
            if difference.error.by_image.any():
                least = " | ".join(f"{difference.least_visible(n):.4f}" for n in IMAGE_COUNTS)
                print(f"| {name} | {quantity} | {difference.value:+.4f} | {least} |", flush=True)


def checkpoint_readings(folder: Path, steps: Sequence[int]) -> dict[int, Reading]:
    """The cluster score of the digits network after each number of training steps."""
    write_digits(folder / "digits")
    dataset = read_image_folder(folder / "digits")
    readings: dict[int, Reading] = {}
    for saved in train_checkpoints(folder / "checkpoints", steps):
        backbone = load_backbone(BackboneSpec(f"timm:{ARCHITECTURE}", {"num_classes": 10}), saved.path, device="cpu")
        features = extract_features(backbone, dataset, WHOLE_IMAGES, shard_folder=folder / f"shards of step {saved.step}")
        readings[saved.step] = read_library(features, _spec("cluster"), f"library of step {saved.step}")
    return readings


def checkpoints(folder: Path) -> None:
    """Whether the score separates two checkpoints of one training run, by the difference of their accuracies."""
    readings = checkpoint_readings(folder, TRAINING_STEPS)
    _print_head("Checkpoints of one training run", "steps", "accuracy of h", "few", "IIS")
    for step, reading in readings.items():
        print(f"| {step} | {float(reading.accuracy.value):.4f} | {float(reading.few.value):.4f} | {reading.iis:.4f} |", flush=True)
    found = [differences(readings[a], readings[b]) for a, b in combinations(readings, 2)]
    _print_head("Pairs of checkpoints", "difference of accuracy", "pairs", "separated by accuracy", "by few", "by IIS")
    for low, high in pairwise(ACCURACY_BINS):
        within = [each for each in found if low <= abs(each["accuracy of h"].value) < high]
        shares = " | ".join(str(sum(each[quantity].is_visible() for each in within)) for quantity in ("accuracy of h", "few", "IIS"))
        print(f"| {low:g} to {high:g} | {len(within)} | {shares} |")

    later = list(readings)[-3:]
    _print_least_differences("two checkpoints", {f"{a} and {b} steps": (readings[b], readings[a]) for a, b in combinations(later, 2)})


def _print_head(title: str, *columns: str) -> None:
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}", flush=True)


def _spec(kind: LibraryKind) -> ScoreSpec:
    return ScoreSpec(LibrarySpec(kind, CONCEPTS), WHOLE_IMAGES)


TABLES: dict[str, Callable[[Path], None]] = {
    "reseeding": reseeding,
    "training-sets": training_sets,
    "controls": controls,
    "checkpoints": checkpoints,
}


def main() -> None:
    """Print the tables that are named, all by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instrument")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}")
    names: list[str] = parser.parse_args().tables
    torch.set_num_threads(1)
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, table in TABLES.items():
            if not names or name in names:
                table(Path(folder))


if __name__ == "__main__":
    main()
