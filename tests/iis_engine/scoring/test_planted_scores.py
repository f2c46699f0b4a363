"""The score orders planted representations as they were planted (docs/validation.md), and the instrument's figures are right."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmarks.instrument import Difference
from benchmarks.validation import plant, recovery, score_directions, turned
from iis_engine.scoring.crossed import over_images, over_seeds


def test_directions_turned_by_an_angle_have_its_cosine_with_the_true_ones() -> None:
    directions = torch.eye(40, 64)
    for degrees in (0, 30, 60):
        found = turned(directions, degrees, seed=1)
        assert (found * directions).sum(dim=1).numpy() == pytest.approx(math.cos(math.radians(degrees)), abs=1e-6)
        assert found.norm(dim=1).numpy() == pytest.approx(1, abs=1e-6)


def test_recovery_matches_each_true_direction_with_a_distinct_one() -> None:
    directions = torch.eye(3)
    found = torch.tensor([[0.0, 1.0, 0.0], [0.8, 0.0, 0.6], [0.0, 0.0, -1.0]])
    assert recovery(found, directions) == pytest.approx((0.0 + 1.0 + 0.6) / 3)  # the second concept is the third's: .8 would leave -1 to it
    assert recovery(directions[[2, 0, 1]], directions) == pytest.approx(1.0)


def test_the_least_visible_difference_falls_with_the_images_but_not_below_the_seeds() -> None:
    images = over_images([0.5, -0.5] * 50)  # variance of the mean: 100 · .25 / (99 · 100)
    alone = Difference(0.0, images)
    assert alone.standard_error() == pytest.approx(math.sqrt(0.25 / 99))
    assert alone.least_visible(400) == pytest.approx(2.80158 * math.sqrt(0.25 / 99 / 4), rel=1e-5)
    seeds = Difference(0.0, over_seeds(np.array([0.1, -0.1])[:, None] * np.ones(100), "library"))  # two seeds of mean ±.1, no interaction
    assert seeds.standard_error(10**6) == pytest.approx(0.1)
    assert alone.least_visible(100) / alone.standard_error() == pytest.approx(1.95996 + 0.84162, abs=1e-5)


@pytest.mark.slow
def test_more_entangled_directions_score_lower_and_gain_less_over_matched_ones() -> None:
    world = plant(train=800, test=600)
    reports = [score_directions(world.features, [turned(world.directions, degrees, seed) for seed in range(3)]) for degrees in (0, 45, 90)]
    few, iis = [report.few_concepts_mean or 0 for report in reports], [report.iis or 0 for report in reports]
    assert few[0] > few[1] > few[2]
    assert iis[0] > iis[1] > iis[2]
    assert [report.verdict["code"] for report in reports[::2]] == ["reads_through_concepts", "no_better_than_matched"]
