"""Integrals and intervals, on values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from iis_engine.scoring.curve import (
    iis_weights,
    interval,
    log_area_weights,
    quadrature_error,
    trapezoid,
    trapezoid_weights,
    worst_panels,
)


def test_full_retention_down_to_one_concept_is_an_iis_of_one() -> None:
    # ARR is 1 at k = 4, 2, 1, so the step function is 1 on all of [0, 1) and .2 at s = 1 alone.
    assert float(np.array([1.0, 1.0, 1.0, 0.2]) @ iis_weights([4, 2, 1, 0], 4)) == pytest.approx(1.0)


def test_the_integral_of_a_line_is_its_triangle_and_half_a_step_without_error() -> None:
    arr = np.array([1.0, 0.75, 0.5, 0.0])
    assert float(arr @ iis_weights([8, 6, 4, 0], 8)) == pytest.approx(0.5 + (1.0 - 0.0) / (2 * 8))
    assert quadrature_error(arr, [8, 6, 4, 0], 8) == pytest.approx(0.0)


def test_with_a_node_at_every_k_the_integral_is_the_area_of_the_step_function() -> None:
    arr = np.array([0.9, 0.97, 0.4, 0.35, 0.1])  # at k = 4, 3, 2, 1, 0: each of the first four holds on a quarter of the axis
    assert float(arr @ iis_weights([4, 3, 2, 1, 0], 4)) == pytest.approx((0.9 + 0.97 + 0.4 + 0.35) / 4)


def test_weights_give_the_integrals() -> None:
    kept = [200, 180, 60, 20, 4, 1, 0]
    arr = np.random.default_rng(0).random((3, 7))
    at = 1 - np.array(kept) / 200
    np.testing.assert_allclose(arr @ trapezoid_weights(at), trapezoid(arr, at))
    np.testing.assert_allclose(arr @ iis_weights(kept, 200), trapezoid(arr, at) + (arr[:, 0] - arr[:, -1]) / 400)
    np.testing.assert_allclose(arr @ log_area_weights(kept), trapezoid(arr[:, :-1], -np.log(kept[:-1])) / np.log(200))
    assert iis_weights(kept, 200).sum() == pytest.approx(1.0)
    assert log_area_weights(kept).sum() == pytest.approx(1.0)


def test_the_quadrature_error_covers_the_true_error_of_a_parabola() -> None:
    kept = [10, 8, 5, 2, 0]
    s = 1 - np.array(kept) / 10
    arr = 1 - s**2
    assert abs(float(trapezoid(arr, s)) - 2 / 3) <= quadrature_error(arr, kept, 10)


def test_log_area_gives_each_octave_the_same_weight() -> None:
    assert float(np.array([1.0, 0.5, 0.0]) @ log_area_weights([4, 2, 1])) == pytest.approx(0.5)
    assert float(np.array([0.7]) @ log_area_weights([1])) == pytest.approx(0.7)


def test_new_nodes_lie_where_the_curve_bends() -> None:
    accuracy = {100: 0.9, 80: 0.9, 60: 0.9, 40: 0.9, 20: 0.5, 0: 0.1}
    assert worst_panels(accuracy, 0.9, 2, 1e-4)[0] in (30, 50)
    assert worst_panels({10: 1.0, 5: 0.5, 0: 0.0}, 1.0, 3, 1e-4) == []


def test_the_interval_is_the_central_share() -> None:
    low, high = interval(np.arange(1001, dtype=float), 0.95)
    assert (float(low), float(high)) == pytest.approx((25, 975))
