"""Intervals of accuracies, ratios and gains: closed forms, invariances, and how often they hold the true value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from scipy.stats import t as student_t

from iis_engine.scoring.crossed import over_images, over_seeds
from iis_engine.scoring.intervals import (
    Interval,
    accuracy_interval,
    better_than_chance,
    difference_interval,
    proportion_interval,
    ratio_interval,
)

Array = NDArray[np.float64]
Z = float(student_t.ppf(0.975, 1e9))


def correctness(seeds: int = 5, images: int = 200, accuracy: float = 0.8, stream: int = 0) -> Array:
    return (np.random.default_rng(stream).random((seeds, images)) < accuracy).astype(np.float64)


def ends(found: Interval) -> tuple[float, float]:
    return float(found.low), float(found.high)


@pytest.mark.parametrize(("right", "images"), [(0, 50), (44, 100), (99, 100), (100, 100), (993, 1000)])
def test_an_accuracy_without_seeds_has_the_interval_of_wilson(right: int, images: int) -> None:
    found = proportion_interval(np.repeat([1.0, 0.0], [right, images - right]))
    wilson = binomtest(right, images).proportion_ci(method="wilson")
    assert ends(found) == pytest.approx((wilson.low, wilson.high))


def test_the_interval_of_continuous_values_is_that_of_student() -> None:
    values = 0.5 + 0.1 * np.random.default_rng(0).standard_normal(4000)
    half = float(student_t.ppf(0.975, 3999)) * values.std(ddof=1) / np.sqrt(4000)
    found = accuracy_interval(over_images(values))
    assert ends(found) == pytest.approx((values.mean() - half, values.mean() + half), abs=half / 50)


def test_seeds_that_alone_differ_have_the_interval_of_student_over_seeds() -> None:
    by_seed = np.array([0.70, 0.74, 0.71, 0.77, 0.73])
    generator = np.random.default_rng(0)
    images = 1e-4 * generator.standard_normal(300)  # no image effect worth mentioning
    found = accuracy_interval(over_seeds(by_seed[:, None] + images, "library"))
    half = float(student_t.ppf(0.975, 4)) * by_seed.std(ddof=1) / np.sqrt(5)
    assert ends(found) == pytest.approx((by_seed.mean() - half, by_seed.mean() + half), abs=1e-4)


def test_a_denominator_without_spread_scales_the_interval() -> None:
    mean = over_seeds(correctness(), "library")
    halved = ratio_interval(mean, over_images(np.full(200, 2.0)))
    assert ends(halved) == pytest.approx([end / 2 for end in ends(ratio_interval(mean, over_images(np.ones(200))))])


def test_the_ratio_is_that_of_fieller() -> None:
    generator = np.random.default_rng(3)
    divisor = 0.5 + 0.3 * generator.standard_normal(2000)
    values = 0.8 * divisor + 0.1 * generator.standard_normal(2000)
    covariance = np.cov(values, divisor) / 2000
    t = float(student_t.ppf(0.975, 1999))
    a = divisor.mean() ** 2 - t**2 * covariance[1, 1]
    b = values.mean() * divisor.mean() - t**2 * covariance[0, 1]
    c = values.mean() ** 2 - t**2 * covariance[0, 0]
    fieller = (b + np.array([-1, 1]) * np.sqrt(b * b - a * c)) / a
    found = ratio_interval(over_images(values), over_images(divisor))
    assert ends(found) == pytest.approx(fieller.tolist(), abs=(fieller[1] - fieller[0]) / 50)


def test_a_denominator_that_may_be_zero_sets_no_limit() -> None:
    divisor = np.tile([1.0, -1.0], 50)
    divisor[0] = 2.0
    assert ends(ratio_interval(over_images(np.ones(100)), over_images(divisor))) == (-np.inf, np.inf)
    nothing = ratio_interval(over_images(np.ones(100)), over_images(np.tile([1.0, -1.0], 50)))
    assert np.isnan(nothing.estimate)
    assert ends(nothing) == (-np.inf, np.inf)


def test_equal_correctness_has_a_retention_of_one_and_an_interval_that_is_no_point() -> None:
    h = np.repeat([1.0, 0.0], [95, 5])
    found = ratio_interval(over_seeds(np.tile(h, (5, 1)), "library"), over_images(h))
    assert float(found.estimate) == 1.0
    low, high = ends(found)
    assert 1 - low == pytest.approx(Z**2 / 100, rel=0.5)  # z²/n bounds the rate of an event that n images did not show
    assert high - 1 == pytest.approx(1 - low, rel=0.2)


def test_all_images_right_bounds_the_accuracy_below() -> None:
    low, high = ends(accuracy_interval(over_seeds(np.ones((5, 100)), "library")))
    assert high == 1.0
    assert low == pytest.approx(1 - Z**2 / 100, abs=0.003)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 1.0, 7.0]), st.sampled_from([0.3, 0.9, 0.99]))
def test_neither_order_nor_scale_changes_an_interval(stream: int, factor: float, accuracy: float) -> None:
    generator = np.random.default_rng(stream)
    library, h = correctness(accuracy=accuracy, stream=stream), correctness(1, stream=stream + 1)[0]
    plain = ends(ratio_interval(over_seeds(library, "library"), over_images(h)))
    images, seeds = generator.permutation(200), generator.permutation(5)
    moved = ratio_interval(over_seeds(library[seeds][:, images], "library"), over_images(h[images]))
    scaled = ratio_interval(over_seeds(factor * library, "library"), over_images(factor * h))
    negated = ratio_interval(over_seeds(-library, "library"), over_images(-h))
    assert ends(moved) == pytest.approx(plain)
    assert ends(negated) == pytest.approx(plain)
    if (library.mean(axis=0) != h).any():
        assert ends(scaled) == pytest.approx(plain)


def test_exchanging_library_and_control_negates_the_gain() -> None:
    library, control, h = correctness(stream=1), correctness(accuracy=0.7, stream=2), over_images(correctness(1, stream=3)[0])
    first, second = over_seeds(library, "library"), over_seeds(control, "control")
    gain, loss = ratio_interval(first - second, h), ratio_interval(second - first, h)
    assert ends(gain) == pytest.approx([-end for end in reversed(ends(loss))])
    assert ends(difference_interval(first - second)) == pytest.approx([-end for end in reversed(ends(difference_interval(second - first)))])


def test_nodes_are_measured_together_as_alone() -> None:
    nodes, h = np.stack([correctness(accuracy=a, stream=4) for a in (0.5, 0.9)]), over_images(correctness(1)[0])
    together = ratio_interval(over_seeds(nodes, "library"), h)
    for place, node in enumerate(nodes):
        alone = ratio_interval(over_seeds(node, "library"), h)
        assert (together.low[place], together.high[place]) == pytest.approx(ends(alone))


def test_numbers_of_images_must_agree() -> None:
    with pytest.raises(ValueError, match="3 images in the numerator and 2"):
        ratio_interval(over_images(np.ones(3)), over_images(np.ones(2)))


def crossed_sets(count: int, images: int, seed_deviation: float, stream: int) -> Array:
    """(count, 5, images) correctness whose accuracy is .5: an image effect, as large an interaction, and a seed effect."""
    generator = np.random.default_rng(stream)
    image, interaction = generator.standard_normal((count, 1, images)), generator.standard_normal((count, 5, images))
    return (image + interaction + seed_deviation * generator.standard_normal((count, 5, 1)) > 0).astype(np.float64)


@pytest.mark.parametrize("seed_deviation", [0.0, 0.1])
def test_intervals_hold_the_true_accuracy_as_often_as_they_say(seed_deviation: float) -> None:
    sets = crossed_sets(2000, 60, seed_deviation, stream=1)
    found = accuracy_interval(over_seeds(sets, "library"))
    assert 0.935 < np.mean((found.low <= 0.5) & (found.high >= 0.5)) < 0.97


def test_adding_an_interval_of_images_and_one_of_seeds_would_be_too_wide() -> None:
    # Without a seed effect the two margins share the interaction: the width of their sum is what the interval must stay below.
    sets = crossed_sets(2000, 60, 0.0, stream=2)
    found = accuracy_interval(over_seeds(sets, "library"))
    of_images = Z**2 * sets.mean(axis=1).var(axis=1, ddof=1) / 60
    of_seeds = student_t.ppf(0.975, 4) ** 2 * sets.mean(axis=2).var(axis=1, ddof=1) / 5
    twice = 2 * np.sqrt(of_images + of_seeds)
    assert np.median(found.high - found.low) < 0.93 * np.median(twice)
    assert np.mean(np.abs(sets.mean(axis=(1, 2)) - 0.5) <= twice / 2) > 0.97


@pytest.mark.parametrize("accuracy", [0.985, 0.9925])
def test_intervals_near_one_hold_the_retention(accuracy: float) -> None:
    # h and the sparse heads fail on images of their own: retention is 1, and many test sets have no or one discordant image.
    generator = np.random.default_rng(3)
    h = (generator.random((3000, 100)) < accuracy).astype(np.float64)
    library = np.repeat((generator.random((3000, 1, 100)) < accuracy).astype(np.float64), 5, axis=1)
    found = ratio_interval(over_seeds(library, "library"), over_images(h))
    assert np.mean((found.low <= 1) & (found.high >= 1)) > 0.93
    assert np.median(found.high - found.low) < 0.15


def test_the_gate_is_the_exact_sign_test_with_mid_p() -> None:
    h, constant = np.zeros((3, 20)), np.zeros((3, 20))
    h[:, :6] = 1
    h[2, 6:] = constant[2, 6:] = 1  # images on which both are right decide nothing
    constant[1, 6] = 1
    # 6 to 0: mid-P (1/2)·2⁻⁶ = .0078. 6 to 1: 2⁻⁷ + (1/2)·7·2⁻⁷ = .035. 6 to 0 again.
    assert better_than_chance(h, constant).tolist() == [True, False, True]


def test_a_head_like_the_constant_prediction_is_not_better() -> None:
    constant = np.repeat([1.0, 0.0], [91, 9])
    assert not better_than_chance(constant, constant)


def test_one_in_forty_guessing_heads_passes() -> None:
    generator = np.random.default_rng(0)
    h, constant = ((generator.random((8000, 100)) < 0.1).astype(np.float64) for _ in range(2))
    assert 0.015 < better_than_chance(h, constant).mean() < 0.03


def test_the_gate_refuses_what_is_not_right_or_wrong() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        better_than_chance([0.5, 1.0], [0.0, 1.0])
    with pytest.raises(ValueError, match="0 or 1"):
        better_than_chance([0.0, 1.0, 1.0], [0.0, 1.0])
