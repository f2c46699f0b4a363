"""Metrics of concept vectors: effective rank, near-duplicates, stability."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.libraries.library import ConceptLibrary
from iis_engine.panel.geometry import centred_vectors, effective_rank, matched_cosine, nearest_concepts, stability


def library(vectors: Tensor, origins: tuple[str, ...] | None = None) -> ConceptLibrary:
    count = len(vectors)
    return ConceptLibrary("prototype", vectors, origins or ("prototype",) * count, ((),) * count)


def directions(count: int, dimension: int, seed: int) -> Tensor:
    return normalize(torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_orthonormal_vectors_have_full_effective_rank_and_equal_ones_have_rank_one() -> None:
    assert effective_rank(torch.eye(7)) == pytest.approx(7)
    assert effective_rank(torch.ones(7, 3)) == pytest.approx(1)


def test_effective_rank_is_the_exponential_of_the_entropy_of_the_singular_values() -> None:
    vectors = directions(9, 5, 0)
    shares = np.linalg.svd(vectors.double().numpy(), compute_uv=False)
    shares /= shares.sum()
    assert effective_rank(vectors) == pytest.approx(float(np.exp(-(shares * np.log(shares)).sum())))
    assert effective_rank(torch.diag(torch.tensor([3.0, 1.0]))) == pytest.approx(4 / 3**0.75)


def test_each_copy_of_a_concept_has_the_other_copies_as_near_duplicates() -> None:
    vectors = directions(10, 30, 0)
    vectors[4] = vectors[7] = vectors[2]
    found = nearest_concepts(library(vectors))

    assert found.duplicates.tolist() == [0, 0, 2, 0, 2, 0, 0, 2, 0, 0]
    assert found.nearest[[2, 4, 7]].tolist() == [4, 2, 2]
    assert found.cosine[[2, 4, 7]].tolist() == pytest.approx([1, 1, 1])


def test_a_library_of_one_repeated_concept_is_all_duplicates() -> None:
    assert nearest_concepts(library(torch.ones(5, 3) / 3**0.5)).duplicates.tolist() == [4] * 5


def test_a_library_of_one_repeated_concept_has_no_effective_dimension() -> None:
    repeated = normalize(torch.rand(1, 8, generator=torch.Generator().manual_seed(0)), dim=1).expand(6, 8)
    assert effective_rank(centred_vectors(library(repeated))) == 0


def test_concepts_of_a_large_library_are_sampled_and_assigned_to_all_of_the_other() -> None:
    vectors = directions(1200, 30, 0).double()
    order = torch.randperm(1200, generator=torch.Generator().manual_seed(1))
    assert matched_cosine(vectors, vectors[order]) == pytest.approx(1)


def test_a_vector_added_to_every_concept_of_a_block_changes_no_cosine() -> None:
    vectors = directions(12, 20, 3)
    shifted = torch.cat([vectors[:5] + 3 * directions(1, 20, 8), vectors[5:] - 2 * directions(1, 20, 9)])
    origins = ("cluster",) * 5 + ("text",) * 7

    plain, moved = (centred_vectors(library(each, origins)) for each in (vectors, shifted))
    torch.testing.assert_close(plain, moved, atol=1e-6, rtol=0)


def test_near_duplicates_are_found_across_blocks_of_rows() -> None:
    vectors = directions(1500, 40, 5)
    vectors[1400] = vectors[3]
    assert nearest_concepts(library(vectors)).nearest[[3, 1400]].tolist() == [1400, 3]


def test_the_matched_cosine_is_that_of_the_best_assignment() -> None:
    first, second = directions(5, 3, 1), directions(5, 3, 2)
    cosines = (first @ second.T).numpy()
    best = max(np.mean([cosines[i, j] for i, j in enumerate(order)]) for order in permutations(range(5)))
    assert matched_cosine(first.double(), second.double()) == pytest.approx(float(best), abs=1e-6)


def test_a_library_that_is_the_same_in_another_order_is_perfectly_stable() -> None:
    vectors = directions(20, 50, 0)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(4))
    found = stability([library(vectors), library(vectors[order])], [library(directions(20, 50, seed)) for seed in (1, 2, 3)])

    assert found is not None
    assert found.cosine == pytest.approx(1)
    assert 0 < found.matched_cosine < 0.5
    assert found.difference == pytest.approx(found.cosine - found.matched_cosine)


def test_stability_falls_with_noise_between_seeds() -> None:
    vectors = directions(30, 40, 0)
    found = [
        stability(
            [library(normalize(vectors + noise * directions(30, 40, seed), dim=1)) for seed in (1, 2, 3)],
            [library(directions(30, 40, seed)) for seed in (4, 5)],
        )
        for noise in (0.1, 0.7, 3.0)
    ]
    differences = [each.difference for each in found if each is not None]
    assert differences[0] > differences[1] > differences[2]
    assert differences[2] < 0.15


def test_one_seed_has_no_stability() -> None:
    assert stability([library(directions(4, 5, 0))], [library(directions(4, 5, 1)), library(directions(4, 5, 2))]) is None
