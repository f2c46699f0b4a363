"""How often the 95 % intervals of mean average precisions hold their expectation, on simulated multi-label test sets.

    python -m benchmarks.average_precision_coverage [--test-sets 500]

Scores are normal, further right where the label is present, and share noise over the labels of an image; those of the sparse head have
more noise. The true value is the expectation over test sets of the same size: with few positive images average precision lies above its
limit for many images, by the bias that is printed. Coverage over 500 test sets has a standard error of .010.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import machine, timed
from iis_engine.heads.average_precision import average_precision_values, mean_average_precision
from iis_engine.scoring.crossed import over_images
from iis_engine.scoring.intervals import Interval, accuracy_interval, difference_interval, ratio_interval

PREVALENCES = {
    "9 labels of .3 to .5": (0.5, 0.4, 0.3) * 3,
    "10 labels of .02 to .3": (0.3, 0.2, 0.1, 0.05, 0.02) * 2,
    "10 labels of .05": (0.05,) * 10,
}
IMAGE_COUNTS = (100, 300, 1000)
QUANTITIES = ("mAP of h", "mAP of the sparse head", "ARR", "difference")
SEPARATION, SHARED_NOISE, SPARSE_NOISE = 1.5, 0.5, 1.0
LIMIT_IMAGES = 200_000


@dataclass(frozen=True)
class Coverage:
    """Share of test sets whose interval holds the expectation, by quantity, and the bias of the mAP of h."""

    shares: dict[str, float]
    bias: float


def measure_coverage(prevalences: tuple[float, ...], image_count: int, test_sets: int, seed: int = 0) -> Coverage:
    """Draw test sets, compute their intervals, and count those that hold the mean over all test sets."""
    generator = torch.Generator().manual_seed(seed)
    found: list[tuple[Interval, ...]] = []
    for _ in range(test_sets):
        labels, scores, sparse = _draw(prevalences, image_count, generator)
        h, g = (over_images(average_precision_values(each, labels).double().numpy()) for each in (scores, sparse))
        found.append((accuracy_interval(h), accuracy_interval(g), ratio_interval(g, h), difference_interval(h - g)))
    expected = [float(np.mean([float(intervals[place].estimate) for intervals in found])) for place in range(len(QUANTITIES))]
    shares = {
        name: float(np.mean([float(each[place].low) <= expected[place] <= float(each[place].high) for each in found]))
        for place, name in enumerate(QUANTITIES)
    }
    labels, scores, _ = _draw(prevalences, LIMIT_IMAGES, generator)
    return Coverage(shares, expected[0] - mean_average_precision(scores, labels))


def _draw(prevalences: tuple[float, ...], n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Labels, and scores of h and of the sparse head: (n, C) each."""
    labels = (torch.rand(n, len(prevalences), generator=generator) < torch.tensor(prevalences)).to(torch.uint8)
    if not bool(labels.any()):
        return _draw(prevalences, n, generator)
    own = torch.randn(labels.shape, generator=generator) * (1 - SHARED_NOISE**2) ** 0.5
    scores = SEPARATION * labels + own + SHARED_NOISE * torch.randn(n, 1, generator=generator)
    return labels, scores, scores + SPARSE_NOISE * torch.randn(labels.shape, generator=generator)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.average_precision_coverage", description="Coverage of the intervals of mAP."
    )
    parser.add_argument("--test-sets", type=int, default=500, help="test sets drawn from each population")
    test_sets: int = parser.parse_args().test_sets
    print(machine())
    elapsed, _ = timed(lambda: _print_table(test_sets))
    print(f"\n{elapsed.cpu:.0f} seconds of one core")


def _print_table(test_sets: int) -> None:
    print(f"\n| population | n | {' | '.join(QUANTITIES)} | bias |\n{'| --- ' * (len(QUANTITIES) + 3)}|")
    for name, prevalences in PREVALENCES.items():
        for image_count in IMAGE_COUNTS:
            found = measure_coverage(prevalences, image_count, test_sets)
            shares = " | ".join(f"{share:.3f}" for share in found.shares.values())
            print(f"| {name} | {image_count} | {shares} | {found.bias:+.3f} |", flush=True)


if __name__ == "__main__":
    main()
