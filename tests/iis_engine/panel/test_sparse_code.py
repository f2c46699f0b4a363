"""Metrics of the sparse code: closed forms, and an independent computation with numpy."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from iis_engine.panel.sparse_code import SparseCode, concepts_used, kept_mask, kept_set_overlap


def test_concepts_that_are_kept_equally_often_are_all_in_use() -> None:
    assert concepts_used(torch.eye(6, dtype=torch.bool)) == pytest.approx(6)


def test_the_same_k_concepts_in_every_image_are_k_in_use_and_overlap_fully() -> None:
    mask = torch.zeros(50, 20, dtype=torch.bool)
    mask[:, [2, 3, 5]] = True

    assert concepts_used(mask) == pytest.approx(3)
    assert kept_set_overlap(mask) == pytest.approx(1)


def test_use_of_three_quarters_and_one_quarter_counts_as_the_exponential_of_its_entropy() -> None:
    mask = torch.tensor([[1, 0], [1, 0], [1, 0], [0, 1]], dtype=torch.bool)
    assert concepts_used(mask) == pytest.approx(4 / 3**0.75)  # exp(-3/4 ln 3/4 - 1/4 ln 1/4)


def test_disjoint_kept_sets_do_not_overlap() -> None:
    assert kept_set_overlap(torch.eye(6, dtype=torch.bool)) == pytest.approx(0)
    assert kept_set_overlap(torch.ones(1, 3, dtype=torch.bool)) == 0


def test_overlap_is_the_mean_jaccard_index_of_all_pairs_across_blocks() -> None:
    activations = torch.randn(1100, 12, generator=torch.Generator().manual_seed(0))
    mask = kept_mask(activations, 4)
    sets = [frozenset(np.flatnonzero(row).tolist()) for row in mask.numpy()]
    expected = np.mean([len(a & b) / len(a | b) for a, b in combinations(sets, 2)])

    assert kept_set_overlap(mask) == pytest.approx(expected, abs=1e-6)


def test_an_offset_that_is_the_same_in_every_image_empties_the_code() -> None:
    """Offsets of the concepts decide which are kept: fewer in use, more overlap, and negative ones where the offsets are."""
    generator = torch.Generator().manual_seed(1)
    activations, offsets = torch.randn(400, 100, generator=generator), -torch.rand(100, generator=generator)
    codes = [SparseCode.of(activations + size * offsets, 10) for size in (0.0, 2.0, 8.0)]

    assert codes[0].concepts_used > codes[1].concepts_used > codes[2].concepts_used
    assert codes[0].overlap < codes[1].overlap < codes[2].overlap
    assert codes[0].positive_share == pytest.approx(0.5, abs=0.03)
    assert codes[0].positive_share > codes[1].positive_share > codes[2].positive_share
    assert all(10 <= code.concepts_used <= 100 for code in codes)


def test_positive_share_counts_kept_activations_alone() -> None:
    activations = torch.tensor([[5.0, -4.0, 0.1, 0.2], [-5.0, -4.0, 0.1, 0.2]])
    assert SparseCode.of(activations, 2).positive_share == pytest.approx(0.25)
