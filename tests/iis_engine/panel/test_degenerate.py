"""Warnings of degenerate codes and libraries."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from iis_engine.panel.degenerate import chance_overlap, degenerate_warnings, overlap_beyond_chance
from iis_engine.panel.sparse_code import SparseCode

GOOD = SparseCode(kept=10, concepts_used=190, overlap=0.03, positive_share=0.69)


def test_chance_overlap_is_the_mean_over_all_pairs_of_sets() -> None:
    sets = [frozenset(members) for members in combinations(range(6), 3)]
    expected = sum(len(a & b) / len(a | b) for a in sets for b in sets) / len(sets) ** 2
    assert chance_overlap(3, 6) == pytest.approx(expected)


def test_overlap_beyond_chance_is_0_at_chance_and_1_for_equal_sets() -> None:
    assert overlap_beyond_chance(chance_overlap(10, 200), 10, 200) == pytest.approx(0)
    assert overlap_beyond_chance(1, 10, 200) == pytest.approx(1)
    assert overlap_beyond_chance(1, 20, 20) == 0


def test_a_code_that_differs_between_images_has_no_warning() -> None:
    assert degenerate_warnings(GOOD, rank=24, concept_count=200, dimension=512) == ()


@pytest.mark.parametrize(
    ("code", "rank", "sentence"),
    [
        (SparseCode(10, 38, 0.03, 0.69), 24, "only 38 of 200 concepts are in effect used"),
        (SparseCode(10, 190, 0.37, 0.69), 24, r"overlap by 0.37 \(Jaccard\) on average, where random sets overlap by 0.03"),
        (SparseCode(10, 190, 0.03, 0.26), 24, "only 26% of the kept activations are positive"),
        (GOOD, 6, "effective rank of 6.0, less than the 10 concepts kept"),
    ],
)
def test_each_degenerate_value_has_its_sentence(code: SparseCode, rank: float, sentence: str) -> None:
    (warning,) = degenerate_warnings(code, rank, 200, 512)
    assert re.search(sentence, warning)


def test_a_low_dimension_alone_is_not_degenerate() -> None:
    assert degenerate_warnings(GOOD, rank=3.5, concept_count=200, dimension=4) == ()
