"""Stratified splits of the training rows: disjoint, of the requested sizes, and the same for the same seed."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from iis_engine.features.canonical_order import held_out_halves, validation_rows


@given(st.lists(st.integers(1, 40), min_size=2, max_size=30), st.integers(0, 99))
def test_held_out_halves_are_disjoint_stratified_and_of_one_size(class_sizes: list[int], seed: int) -> None:
    y = torch.arange(len(class_sizes)).repeat_interleave(torch.tensor(class_sizes))
    excluded = validation_rows(y, 0.1, seed)
    choosing, judging = held_out_halves(y, excluded, 0.2, seed)
    assert not bool((choosing & judging | choosing & excluded | judging & excluded).any())
    assert int(choosing.sum() + judging.sum()) == round(0.2 * len(y))
    assert 0 <= int(choosing.sum() - judging.sum()) <= 1
    free = int((~excluded).sum())
    for label in range(len(class_sizes)):
        available = int(((y == label) & ~excluded).sum())
        share = available * round(0.2 * len(y)) / free
        drawn = [int(half[y == label].sum()) for half in (choosing, judging)]
        assert share - 1 < sum(drawn) < share + 1
        assert abs(drawn[0] - drawn[1]) <= 1


def test_held_out_halves_depend_on_the_seed_alone() -> None:
    y = torch.arange(3).repeat_interleave(50)
    excluded = validation_rows(y, 0.1, 0)
    first, again, other = (held_out_halves(y, excluded, 0.2, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.stack(first), torch.stack(again))
    assert not torch.equal(torch.stack(first), torch.stack(other))
