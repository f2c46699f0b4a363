"""Integrals and intervals, on values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from iis_engine.scoring.curve import bootstrap_accuracies, iis, interval, log_area, quadrature_error, worst_panels


def test_full_retention_down_to_one_concept_loses_only_the_last_half_panel() -> None:
    # ARR is 1 at k = 4, 2, 1 and .2 at k = 0: 3/4 of the axis at 1, the last quarter at (1 + .2) / 2.
    assert float(iis(np.array([1.0, 1.0, 1.0, 0.2]), [4, 2, 1, 0], 4)) == pytest.approx(0.75 + 0.25 * 0.6)


def test_the_integral_of_a_line_is_its_triangle_and_its_error_that_of_the_steps() -> None:
    arr = np.array([1.0, 0.75, 0.5, 0.0])
    assert float(iis(arr, [8, 6, 4, 0], 8)) == pytest.approx(0.5)
    assert quadrature_error(arr, [8, 6, 4, 0], 8) == pytest.approx((1.0 - 0.0) / (2 * 8))


def test_the_quadrature_error_covers_the_true_error_of_a_parabola() -> None:
    kept = [10, 8, 5, 2, 0]
    s = 1 - np.array(kept) / 10
    arr = 1 - s**2
    assert abs(float(iis(arr, kept, 10)) - 2 / 3) <= quadrature_error(arr, kept, 10)


def test_log_area_gives_each_octave_the_same_weight() -> None:
    assert float(log_area(np.array([1.0, 0.5, 0.0]), [4, 2, 1])) == pytest.approx(0.5)


def test_new_nodes_lie_where_the_curve_bends() -> None:
    accuracy = {100: 0.9, 80: 0.9, 60: 0.9, 40: 0.9, 20: 0.5, 0: 0.1}
    assert worst_panels(accuracy, 0.9, 2, 1e-4)[0] in (30, 50)
    assert worst_panels({10: 1.0, 5: 0.5, 0: 0.0}, 1.0, 3, 1e-4) == []


def test_resampling_keeps_rows_paired() -> None:
    correct = np.stack([np.arange(200) % 2, np.arange(200) % 2]).astype(float)
    stars = bootstrap_accuracies(correct, 100, seed=1)
    assert (stars[:, 0] == stars[:, 1]).all()
    assert stars[:, 0].std() == pytest.approx(np.sqrt(0.25 / 200), rel=0.3)


def test_the_interval_is_the_central_share() -> None:
    low, high = interval(np.arange(1001, dtype=float), 0.95)
    assert (float(low), float(high)) == pytest.approx((25, 975))
