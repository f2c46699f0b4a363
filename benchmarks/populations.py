"""Populations with known accuracies, from which `benchmarks.coverage` draws test sets and seeds: a model, and a measured network.

    python -m benchmarks.populations digits_trained 40 population.npz

measures golden features with 40 seeds of prototype libraries and of random directions, and writes what `MeasuredPopulation` reads.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from benchmarks.golden import golden_features
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.build import build_library
from iis_engine.scoring.exact import measure_exact
from iis_engine.scoring.measurement import Measurement
from iis_engine.specs import LibraryKind, LibrarySpec

Array = NDArray[np.float64]

CONCEPT_COUNT = 200  # M
KEPT = (200, 180, 140, 100, 60, 30, 25, 20, 15, 10, 7, 5, 3, 2, 1)
SEEDS = 5
BASE_VARIATION = 0.005  # of the model's accuracy of h, over test sets

# of ThresholdModel
LIBRARY_RETENTION, CONTROL_RETENTION = 0.985, 0.98  # of h's accuracy, at k = M
LIBRARY_SCALE, CONTROL_SCALE = 6.0, 9.0  # of k, where most accuracy is regained
LIBRARY_SEED_DEVIATION, CONTROL_SEED_DEVIATION = (0.01, 0.08), (0.01, 0.2)  # at k = M and at k = 1
INTERACTION_SHARE = (0.06, 0.56)  # of the variance, at k = M and at k = 1
OWN_SHARE = 0.12  # of the variance, for the images of one kind
HEAD_SHARE = 0.93  # of the variance of h, for the image's difficulty
MAJORITY_MISS_SHARE = 0.2  # of all errors, on the images of a dominating class


@dataclass(frozen=True)
class TestSets:
    """Correctness on T test sets of n images.

    Attributes
    ----------
    library, control : (T, S, K, n) for K nodes each
    library_kept, control_kept : k of the nodes, falling to 1
    h, constant : (T, n) of the representation's head and of the constant prediction
    """

    library: Array
    control: Array
    library_kept: tuple[int, ...]
    control_kept: tuple[int, ...]
    h: Array
    constant: Array


def expected(library: Array, control: Array, kept: tuple[tuple[int, ...], tuple[int, ...]], h: Array, constant: Array) -> TestSets:
    """Accuracies of a population, written as one seed on two equal images.

    Parameters
    ----------
    library, control : (T, K)
    h, constant : (T,)
    """
    curves = [np.repeat(each[:, None, :, None], 2, axis=3) for each in (library, control)]
    return TestSets(curves[0], curves[1], *kept, *(np.repeat(each[:, None], 2, axis=1) for each in (h, constant)))


class Population(Protocol):
    """Test images and seeds without end."""

    def draw(self, test_sets: int, image_count: int, generator: np.random.Generator) -> tuple[TestSets, TestSets]:
        """Draw test sets, each with `SEEDS` seeds of library and control; the second value has the true accuracies of each."""
        ...


@dataclass(frozen=True)
class ThresholdModel:
    """A head is right on an image where a normal variable exceeds a threshold.

    The variable is a sum of the image's difficulty, which h, library and control share; a part of the image that all seeds of one kind
    share; a part of image and seed; and a part of the seed. All parts but the first drift with k. Fewer concepts have more interaction
    and more spread over seeds, as on measured networks.

    Attributes
    ----------
    accuracy : of h; it varies by `BASE_VARIATION` over test sets
    majority : share of images on which the constant prediction is right; where above one half, they are easier
    """

    accuracy: float
    majority: float

    def draw(self, test_sets: int, image_count: int, generator: np.random.Generator) -> tuple[TestSets, TestSets]:
        """Draw test sets, each with `SEEDS` seeds of library and control; the second value has the true accuracies of each."""
        shape = (test_sets, image_count)
        accuracy = self.accuracy + BASE_VARIATION * (2 * generator.random(test_sets) - 1)
        library = self._curve(accuracy, LIBRARY_RETENTION, LIBRARY_SCALE)
        control = self._curve(accuracy, CONTROL_RETENTION, CONTROL_SCALE)
        constant = (generator.random(shape) < self.majority).astype(np.float64)
        difficulty = generator.standard_normal(shape)
        head = np.sqrt(HEAD_SHARE) * difficulty + np.sqrt(1 - HEAD_SHARE) * generator.standard_normal(shape)
        h = (self._thresholds(accuracy[:, None], constant)[:, 0] + head > 0).astype(np.float64)
        drawn = TestSets(
            self._seeds(library, LIBRARY_SEED_DEVIATION, difficulty, constant, generator),
            self._seeds(control, CONTROL_SEED_DEVIATION, difficulty, constant, generator),
            *(KEPT, KEPT, h, constant),
        )
        return drawn, expected(library, control, (KEPT, KEPT), accuracy, np.full(test_sets, self.majority))

    def _curve(self, accuracy: Array, retention: float, scale: float) -> Array:
        """(T, K) accuracies that fall from `retention` of h's to the constant prediction's."""
        rise = 1 - np.exp(-((np.array(KEPT) / scale) ** 0.8))
        return self.majority + (accuracy[:, None] * retention - self.majority) * rise / rise[0]

    def _thresholds(self, accuracy: Array, constant: Array) -> Array:
        """(T, K, n) so that an image with a standard normal variable is right with `accuracy` (T, K) over all images."""
        easy = hard = accuracy
        if self.majority > 0.5:
            missed = MAJORITY_MISS_SHARE * (1 - accuracy) / self.majority
            easy, hard = 1 - missed, (accuracy - self.majority * (1 - missed)) / (1 - self.majority)
        return np.where(constant[:, None] > 0, norm.ppf(easy)[..., None], norm.ppf(hard)[..., None])

    def _seeds(
        self, accuracy: Array, deviation: tuple[float, float], difficulty: Array, constant: Array, generator: np.random.Generator
    ) -> Array:
        """(T, SEEDS, K, n) correctness."""
        sets, n = difficulty.shape
        depth = np.log(CONCEPT_COUNT / np.array(KEPT)) / np.log(CONCEPT_COUNT)  # 0 at k = M, 1 at k = 1
        interaction = INTERACTION_SHARE[0] + (INTERACTION_SHARE[1] - INTERACTION_SHARE[0]) * depth
        seed = deviation[0] + (deviation[1] - deviation[0]) * depth
        turn = np.stack([np.cos(1.2 * depth), np.sin(1.2 * depth)], axis=1)  # (K, 2)
        image = np.sqrt(1 - interaction - OWN_SHARE)[:, None] * difficulty[:, None]
        image = image + np.sqrt(OWN_SHARE) * (turn @ generator.standard_normal((sets, 2, n)))
        mixed = np.sqrt(0.7) * (turn @ generator.standard_normal((sets, SEEDS, 2, n)))
        mixed += np.sqrt(0.3) * generator.standard_normal((sets, SEEDS, len(KEPT), n))
        of_seed = seed * (generator.standard_normal((sets, SEEDS, 2)) @ turn.T)
        right = (self._thresholds(accuracy, constant) * np.sqrt(1 + seed**2)[:, None] + image)[:, None] + of_seed[..., None]
        return (right + np.sqrt(interaction)[:, None] * mixed > 0).astype(np.float64)


@dataclass(frozen=True)
class MeasuredPopulation:
    """Measured correctness as the population: test images and seeds are drawn from it with replacement.

    Attributes
    ----------
    library, control : (S, K, n) for all measured seeds and images
    h, constant : (n,)
    """

    library: Array
    control: Array
    library_kept: tuple[int, ...]
    control_kept: tuple[int, ...]
    h: Array
    constant: Array

    @staticmethod
    def read(path: Path) -> MeasuredPopulation:
        """Read what `python -m benchmarks.populations` wrote."""
        with np.load(path) as file:
            library, control, h, constant = (file[name].astype(np.float64) for name in ("library", "control", "h", "constant"))
            library_kept, control_kept = (tuple(file[f"{name}_kept"].tolist()) for name in ("library", "control"))
        return MeasuredPopulation(library, control, library_kept, control_kept, h, constant)

    def draw(self, test_sets: int, image_count: int, generator: np.random.Generator) -> tuple[TestSets, TestSets]:
        """Draw test sets, each with `SEEDS` seeds of library and control; the second value has the true accuracies of each."""
        images = generator.integers(len(self.h), size=(test_sets, image_count))
        curves = [self._resample(each, images, generator) for each in (self.library, self.control)]
        kept = self.library_kept, self.control_kept
        drawn = TestSets(curves[0], curves[1], *kept, self.h[images], self.constant[images])
        means = [np.repeat(each.mean(axis=(0, 2))[None], test_sets, axis=0) for each in (self.library, self.control)]
        shares = [np.full(test_sets, each.mean()) for each in (self.h, self.constant)]
        return drawn, expected(means[0], means[1], kept, shares[0], shares[1])

    def _resample(self, correct: Array, images: NDArray[np.int64], generator: np.random.Generator) -> Array:
        """(T, SEEDS, K, n) of (S, K, all images), with images (T, n)."""
        seeds = generator.integers(len(correct), size=(len(images), SEEDS))
        return np.stack([correct[drawn][:, :, chosen] for drawn, chosen in zip(seeds, images, strict=True)])


def main() -> None:
    """Measure golden features by the exact protocol and write the correctness of every seed."""
    name, seed_count, path = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    features = golden_features(name)
    if features is None:
        raise SystemExit(1)
    library, control = (_measure(features, kind, seed_count) for kind in ("prototype", "random"))
    np.savez_compressed(
        path,
        library=library.correct.numpy().astype(np.uint8),
        library_kept=np.array(library.kept),
        control=control.correct.numpy().astype(np.uint8),
        control_kept=np.array(control.kept),
        h=library.baseline_correct.numpy(),
        constant=library.constant_correct.numpy(),
    )


def _measure(features: FeatureSet, kind: LibraryKind, seed_count: int) -> Measurement:
    cpu = torch.device("cpu")
    libraries = [build_library(features, LibrarySpec(kind, CONCEPT_COUNT), seed, cpu) for seed in range(seed_count)]
    return measure_exact(features, libraries, 0, cpu)


if __name__ == "__main__":
    main()
