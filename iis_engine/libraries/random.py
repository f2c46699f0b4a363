"""Random: Gaussian directions, the control. Random projections keep accuracy too, so no score stands without them."""

from __future__ import annotations

import torch

from iis_engine.libraries.library import ConceptLibrary


def build_random(dimension: int, concept_count: int, seed: int) -> ConceptLibrary:
    """`concept_count` independent directions, uniform on the unit sphere of the representation space."""
    vectors = torch.randn(concept_count, dimension, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    vectors = torch.nn.functional.normalize(vectors, dim=1).float()
    return ConceptLibrary("random", vectors, ("random",) * concept_count, ((),) * concept_count)
