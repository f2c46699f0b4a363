"""g_s keeps exactly k activations, ties included."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from iis_engine.heads.sparsify import sparsify, sparsify_like_authors


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12).flatmap(lambda M: st.tuples(st.lists(st.integers(-3, 3), min_size=M, max_size=M), st.integers(0, M))))
def test_exactly_k_activations_are_kept_even_among_ties(case: tuple[list[int], int]) -> None:
    values, kept = case
    activations = torch.tensor([values], dtype=torch.float32) + 10  # nothing is zero, so every kept place shows
    assert int((sparsify(activations, kept) != 0).sum()) == kept


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-5, 5, width=32), min_size=3, max_size=10), st.integers(0, 2))
def test_a_concept_kept_among_k_is_kept_among_k_plus_1(values: list[float], kept: int) -> None:
    activations = torch.tensor([values])
    smaller, larger = sparsify(activations, kept) != 0, sparsify(activations, kept + 1) != 0
    assert bool((~smaller | larger).all())


def test_ties_go_to_the_lower_index() -> None:
    assert sparsify(torch.tensor([[2.0, -2.0, 2.0]]), 2).tolist() == [[2.0, -2.0, 0.0]]


def test_the_authors_rule_keeps_one_fewer_and_drops_ties_together() -> None:
    assert sparsify_like_authors(torch.tensor([[5.0, -4.0, 1.0, 3.0]]), 2).tolist() == [[5.0, 0.0, 0.0, 0.0]]
    assert sparsify_like_authors(torch.tensor([[3.0, 3.0, 1.0]]), 1).tolist() == [[0.0, 0.0, 0.0]]
