"""Rank correlations against values computed by hand and by scipy, and their invariants."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import bootstrap, kendalltau, spearmanr

from iis_engine.studies import rank_correlation
from iis_engine.studies.rank_correlation import Estimate, Pairs, kendall, partial_spearman, spearman

Array = NDArray[np.float64]
NAMES = ("Accuracy", "IIS")
FEW = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50), st.integers(-50, 50)), min_size=1, max_size=9)


def pairs(x: object, y: object, **deviations: Array) -> Pairs:
    return Pairs(np.asarray(x, dtype=float), np.asarray(y, dtype=float), NAMES, **deviations)


@contextmanager
def few_draws(count: int) -> Generator[None]:
    """Fewer resamples and permutations, for tests of many correlations."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rank_correlation, "REPLICATES", count)
        patched.setattr(rank_correlation, "PERMUTATIONS", count)
        yield


def test_spearman_and_kendall_of_five_pairs_computed_by_hand() -> None:
    # Ranks 1 2 3 4 5 and 2 1 4 3 5: squared differences sum to 4, so rho = 1 - 6·4/(5·24); 8 pairs agree and 2 do not.
    found = pairs([10, 20, 30, 40, 50], [2, 1, 4, 3, 9])
    assert spearman(found).value == pytest.approx(0.8)
    assert kendall(found).value == pytest.approx(0.6)


def test_ties_share_their_ranks() -> None:
    # Ranks 1.5 1.5 3 4 and 1 2 3.5 3.5, both about 2.5: products sum to 4, squares to 4.5 each.
    # Of six pairs four agree, none disagrees, and each side ties one: tau-b = 4 / √(5·5).
    found = pairs([1, 1, 2, 3], [5, 6, 7, 7])
    assert spearman(found).value == pytest.approx(4 / 4.5)
    assert kendall(found).value == pytest.approx(0.8)


def test_a_partial_correlation_computed_by_hand() -> None:
    # Ranks x 1 2 3 4 5, y 2 1 4 3 5, z 1 3 2 5 4: r_xy = .8, r_xz = .8, r_yz = 1 - 6·14/120 = .3.
    found = partial_spearman(pairs([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]), np.asarray([1.0, 3.0, 2.0, 5.0, 4.0]), "z")
    assert found.value == pytest.approx((0.8 - 0.8 * 0.3) / math.sqrt((1 - 0.64) * (1 - 0.09)))


def test_a_partial_correlation_equals_that_of_the_residuals_of_rank_regressions() -> None:
    generator = np.random.default_rng(4)
    x, y, z = (generator.permutation(30).astype(float) for _ in range(3))

    def rest(values: Array) -> Array:
        slope, offset = np.polyfit(z, values, 1)
        return values - slope * z - offset

    assert partial_spearman(pairs(x, y), z, "z").value == pytest.approx(np.corrcoef(rest(x), rest(y))[0, 1])


def test_p_is_the_share_of_orders_with_at_least_as_strong_a_correlation() -> None:
    assert spearman(pairs([1, 2, 3, 4], [1, 2, 3, 4])).p == pytest.approx(2 / 24)
    many = np.random.default_rng(0).permutation(40).astype(float)
    found = spearman(pairs(np.arange(40), many))
    assert found.p == pytest.approx(spearmanr(np.arange(40), many).pvalue, abs=0.02)  # pyright: ignore[reportAttributeAccessIssue]


def test_the_intervals_are_percentiles_of_the_statistic_on_resampled_pairs() -> None:
    generator = np.random.default_rng(7)
    x, y, z = (generator.integers(0, 8, 12).astype(float) for _ in range(3))

    def resampled(statistic: Callable[..., float], *sides: Array) -> tuple[float, ...]:
        found = bootstrap(sides, statistic, paired=True, vectorized=False, n_resamples=300, method="percentile", rng=rank_correlation.SEED)
        return tuple(np.nanquantile(found.bootstrap_distribution, [0.025, 0.975]))

    def rho(a: Array, b: Array) -> float:
        return spearmanr(a, b).statistic  # pyright: ignore[reportAttributeAccessIssue] (scipy's stubs hide the fields)

    def tau(a: Array, b: Array) -> float:
        return kendalltau(a, b).statistic  # pyright: ignore[reportAttributeAccessIssue]

    def partial(a: Array, b: Array, c: Array) -> float:
        ab, ac, bc = rho(a, b), rho(a, c), rho(b, c)
        return (ab - ac * bc) / math.sqrt((1 - ac**2) * (1 - bc**2))

    with few_draws(300):
        of_rho, of_tau, of_partial = spearman(pairs(x, y)), kendall(pairs(x, y)), partial_spearman(pairs(x, y), z, "z")
    assert (of_rho.low, of_rho.high) == pytest.approx(resampled(rho, x, y))
    assert (of_tau.low, of_tau.high) == pytest.approx(resampled(tau, x, y))
    assert (of_partial.low, of_partial.high) == pytest.approx(resampled(partial, x, y, z))


def test_the_interval_has_about_its_nominal_coverage() -> None:
    pearson, n, trials = 0.6, 40, 150
    truth = 6 / math.pi * math.asin(pearson / 2)  # rho of a bivariate normal
    generator = np.random.default_rng(3)
    hits = 0
    for _ in range(trials):
        x, y = generator.multivariate_normal([0, 0], [[1, pearson], [pearson, 1]], size=n).T
        with few_draws(400):
            found = spearman(pairs(x, y))
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    assert 0.88 <= hits / trials <= 0.99


def hits_of_another_draw(pearson: float, n: int, noise: float, trials: int) -> float:
    """How often the noise interval holds rho of a second measurement of the same n models."""
    generator = np.random.default_rng(11)
    hits = 0
    for _ in range(trials):
        true = generator.multivariate_normal([0, 0], [[1, pearson], [pearson, 1]], size=n).T
        deviations = noise * generator.uniform(0.5, 1.5, size=(2, n))
        first, other = (true + deviations * generator.normal(size=(2, n)) for _ in range(2))
        found = spearman(pairs(*first, x_deviation=deviations[0], y_deviation=deviations[1]))
        assert found.noise_low is not None
        assert found.noise_high is not None
        hits += found.noise_low <= spearmanr(*other).statistic <= found.noise_high  # pyright: ignore[reportAttributeAccessIssue]
    return hits / trials


@pytest.mark.slow
def test_the_noise_interval_holds_rho_of_another_measurement() -> None:
    with few_draws(200):
        assert 0.91 <= hits_of_another_draw(0.9, 14, 0.4, 200) <= 0.985  # by adding errors to measured values: 0.81


@pytest.mark.slow
@pytest.mark.parametrize("n", [6, 40])
@pytest.mark.parametrize(("pearson", "noise"), [(0.0, 0.2), (0.0, 1.0), (0.6, 0.5), (0.95, 0.2), (0.95, 0.5)])
def test_the_noise_interval_has_about_its_nominal_coverage(pearson: float, n: int, noise: float) -> None:
    with few_draws(300):
        assert hits_of_another_draw(pearson, n, noise, 300) >= 0.91


def test_the_noise_interval_of_exact_values_keeps_their_ties() -> None:
    x, y = np.asarray([1.0, 1, 2, 3, 3]), np.asarray([2.0, 1, 1, 3, 4])
    found = spearman(pairs(x, y, x_deviation=np.zeros(5)))
    assert (found.noise_low, found.noise_high) == (found.value, found.value)


def test_the_noise_interval_is_wide_for_large_measurement_errors_and_a_point_for_none() -> None:
    x, y = np.arange(8.0), np.arange(8.0)
    exact = spearman(pairs(x, y, x_deviation=np.zeros(8), y_deviation=np.zeros(8)))
    vague = spearman(pairs(x, y, x_deviation=np.full(8, 5.0)))
    assert (exact.noise_low, exact.noise_high) == (1, 1)
    assert vague.noise_low is not None
    assert vague.noise_low < 0.6
    assert spearman(pairs(x, y)).noise_low is None


@pytest.mark.parametrize("correlate", [spearman, kendall])
def test_fewer_than_four_pairs_or_a_constant_side_give_a_reason_instead_of_a_value(correlate: Callable[[Pairs], Estimate]) -> None:
    few, flat = correlate(pairs([1, 2, 3], [1, 2, 3])), correlate(pairs([1, 2, 3, 4], [7, 7, 7, 7]))
    assert few.value is few.low is few.p is None
    assert "at least 4" in str(few.reason)
    assert flat.value is None
    assert "IIS is the same for all 4" in str(flat.reason)
    assert "at least 4" in str(correlate(pairs([], [])).reason)


def test_a_partial_correlation_given_one_of_its_sides_is_undefined() -> None:
    x = np.asarray([3.0, 1.0, 4.0, 1.5, 9.0])
    found = partial_spearman(pairs(x, [1, 2, 3, 4, 5]), 0.25 * x - 7, "the denominator")
    assert found.value is found.low is None
    assert "Accuracy orders the 5 exactly as the denominator" in str(found.reason)
    assert "is the same for all 5" in str(partial_spearman(pairs(x, [1, 2, 3, 4, 5]), np.ones(5), "the denominator").reason)


def test_tau_of_very_many_pairs_has_no_interval_and_gives_the_reason() -> None:
    x = np.random.default_rng(6).normal(size=rank_correlation.TAU_RESAMPLED_UP_TO + 1)
    found = kendall(pairs(x, x**3))
    assert (found.value, found.low) == (pytest.approx(1), None)
    assert "tau has no interval" in str(found.reason)


def test_resampling_in_parts_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    x, y, z = (generator.integers(0, 20, 30).astype(float) for _ in range(3))
    with few_draws(200):
        whole = spearman(pairs(x, y)), kendall(pairs(x, y)), partial_spearman(pairs(x, y), z, "z")
        monkeypatch.setattr(rank_correlation, "_ENTRIES_AT_ONCE", 7 * 30)
        parts = spearman(pairs(x, y)), kendall(pairs(x, y)), partial_spearman(pairs(x, y), z, "z")
    assert parts == whole


@given(FEW)
@settings(deadline=None, max_examples=50)
def test_any_values_give_a_correlation_or_a_reason(rows: list[tuple[int, int, int]]) -> None:
    x, y, z = (np.asarray(side, dtype=float) for side in zip(*rows, strict=True))
    with few_draws(100):
        found = [spearman(pairs(x, y, y_deviation=np.ones(len(y)))), kendall(pairs(x, y)), partial_spearman(pairs(x, y), z, "z")]
    for estimate in found:
        json.dumps(estimate.to_dict(), allow_nan=False)
        assert (estimate.value is None) <= (estimate.reason is not None)
        assert estimate.value is None or -1 <= estimate.value <= 1
        assert estimate.p is None or 0 < estimate.p <= 1
        assert estimate.low is None or (estimate.high is not None and estimate.low <= estimate.high)


@given(FEW)
@settings(deadline=None, max_examples=50)
def test_an_increasing_function_of_a_side_changes_nothing_and_a_decreasing_one_the_sign(rows: list[tuple[int, int, int]]) -> None:
    x, y, z = (np.asarray(side, dtype=float) for side in zip(*rows, strict=True))
    with few_draws(100):
        statistics: list[Callable[[Pairs], Estimate]] = [spearman, kendall, lambda found: partial_spearman(found, z, "z")]
        for statistic in statistics:
            plain, risen, fallen = (statistic(pairs(x, side)) for side in (y, np.exp(y / 10), -y))
            assert (plain.value is None) == (risen.value is None) == (fallen.value is None)
            if plain.value is not None and risen.value is not None and fallen.value is not None:
                assert risen.value == pytest.approx(plain.value)
                assert fallen.value == pytest.approx(-plain.value)
            if plain.low is not None and plain.high is not None:
                assert (risen.low, risen.high) == pytest.approx((plain.low, plain.high))
                assert (fallen.low, fallen.high) == pytest.approx((-plain.high, -plain.low))


@given(st.permutations(range(6)))
@settings(deadline=None, max_examples=20)
def test_the_order_of_the_pairs_changes_no_value(order: list[int]) -> None:
    x, y = np.asarray([1.0, 2, 3, 5, 8, 13]), np.asarray([2.0, 1, 3, 9, 4, 9])
    assert spearman(pairs(x[order], y[order])).value == pytest.approx(spearman(pairs(x, y)).value)
