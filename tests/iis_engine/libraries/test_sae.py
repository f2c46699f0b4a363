"""SAE libraries: the directions that elements are sparse sums of."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.errors import LibraryError
from iis_engine.libraries.build import build_library
from iis_engine.libraries.sae import ACTIVE_PER_ELEMENT, build_sae, reconstruct
from iis_engine.specs import LibrarySpec
from support.feature_sets import random_features

CPU = torch.device("cpu")


def sparse_sums(count: int, atoms: Tensor, active: int, seed: int) -> Tensor:
    """Unit sums of `active` random atoms each, with weights from 1 to 2."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(count, len(atoms), generator=generator).topk(active, dim=1).indices
    weights = torch.zeros(count, len(atoms)).scatter(1, chosen, 1 + torch.rand(count, active, generator=generator))
    return normalize(weights.double() @ atoms, dim=1)


def test_directions_explain_sparse_sums_better_than_the_elements_that_they_started_from() -> None:
    atoms = normalize(torch.randn(48, 32, generator=torch.Generator().manual_seed(1)).double(), dim=1)
    units = sparse_sums(800, atoms, 3, 2)
    learned = build_sae(units, torch.arange(len(units)), 64, 0).vectors.double()  # overcomplete: 64 of 32 dimensions
    start = units[torch.randperm(len(units), generator=torch.Generator().manual_seed(0))[:64]]
    cosines = [(vectors @ atoms.T).max(dim=0).values.mean().item() for vectors in (learned, normalize(start - units.mean(dim=0), dim=1))]
    assert cosines[0] > cosines[1] + 0.03
    assert torch.allclose(learned.norm(dim=1), torch.ones(64).double())


def test_a_reconstruction_by_hand() -> None:
    eye = torch.eye(2).double()
    found = reconstruct(torch.tensor([[3.0, -1.0]]).double(), eye, eye, torch.tensor([1.0, 1.0]).double())
    assert found.tolist() == [[3.0, 1.0]]  # activations (2, -2), of which ReLU keeps the first
    assert ACTIVE_PER_ELEMENT == 8


def test_the_seed_alone_decides() -> None:
    features = random_features(6)
    first, again, other = (build_library(features, LibrarySpec("sae", 12), seed, CPU) for seed in (3, 3, 4))
    assert torch.equal(first.vectors, again.vectors)
    assert not torch.equal(first.vectors, other.vectors)
    assert first.origins == ("sae",) * 12
    with pytest.raises(LibraryError, match="only 60 visual elements can be used"):
        build_library(features, LibrarySpec("sae", 61), 0, CPU)
