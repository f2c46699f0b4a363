"""Holm's adjustment, and sentences that state an order only where it stands the adjustment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iis_engine.studies.claims import adjusted, correlation_sentence, holm
from iis_engine.studies.rank_correlation import Estimate

PROBABILITIES = st.lists(st.floats(0, 1), max_size=12)


def test_holm_multiplies_the_smallest_p_by_all_and_the_next_by_one_fewer() -> None:
    # Sorted .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04, and no one below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(PROBABILITIES)
def test_adjusted_p_keep_the_order_and_lie_between_p_and_bonferroni(p: list[float]) -> None:
    found = holm(p)
    for value, raised in zip(p, found, strict=True):
        assert value <= raised <= min(1.0, len(p) * value) + 1e-12
    by_p = [raised for _, raised in sorted(zip(p, found, strict=True))]
    assert by_p == sorted(by_p)


def test_a_correlation_without_p_is_no_member_of_the_family() -> None:
    found = adjusted([Estimate(5, 0.9, p=0.02), Estimate(3, reason="Too few."), Estimate(5, 0.1, p=0.8)])
    assert [estimate.p_holm for estimate in found] == [0.04, None, 0.8]


@pytest.mark.parametrize(
    ("low", "high", "p_holm", "claim"),
    [
        (0.1, 0.9, 0.05, "rise together"),
        (0.1, 0.9, 0.06, "show no order beyond chance"),
        (-0.1, 0.9, 0.01, "show no order beyond chance"),
        (None, None, 0.01, "show no order beyond chance"),
        (0.1, 0.9, None, "show no order beyond chance"),
    ],
)
def test_a_sentence_states_an_order_where_the_interval_and_the_adjusted_p_both_do(
    low: float | None, high: float | None, p_holm: float | None, claim: str
) -> None:
    assert f"IIS and accuracy {claim} over 9 models" in correlation_sentence(
        Estimate(9, 0.6, low, high, p=0.01, p_holm=p_holm), "IIS and accuracy"
    )
