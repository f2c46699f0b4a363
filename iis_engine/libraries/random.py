"""Random library: Gaussian directions, uniform on the unit sphere of the representation space (METHOD §2)."""

from __future__ import annotations

import torch
from torch import Tensor

from iis_engine.libraries.library import ConceptLibrary


def build_random(dimension: int, concept_count: int, seed: int) -> ConceptLibrary:
    """`concept_count` independent directions."""
    return ConceptLibrary("random", random_directions(dimension, concept_count, seed), ("random",) * concept_count, ((),) * concept_count)


def random_directions(dimension: int, count: int, seed: int) -> Tensor:
    """(count, dimension) float32 unit rows, independent and uniform on the sphere."""
    vectors = torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(vectors, dim=1).float()
