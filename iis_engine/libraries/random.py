"""Random library: Gaussian directions, the control beside every other library (METHOD §2)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from iis_engine.libraries.library import ConceptLibrary, training_moments


def build_control(X: Tensor, concept_count: int, standardised: int, seed: int) -> ConceptLibrary:
    """Random directions, normalised as the concepts of the library that they are compared with.

    Parameters
    ----------
    X : (n, d) representations of the training rows
    standardised : number of directions standardised one by one, as text concepts are; the others by LayerNorm
    """
    library = build_random(X.shape[1], concept_count, seed)
    if standardised == 0:
        return library
    means, deviations = training_moments(X, library.vectors)
    by_row = torch.arange(concept_count) >= standardised
    means[by_row], deviations[by_row] = torch.nan, torch.nan
    origins = ("random, standardised",) * standardised + ("random",) * (concept_count - standardised)
    return replace(library, origins=origins, means=means, deviations=deviations)


def build_random(dimension: int, concept_count: int, seed: int) -> ConceptLibrary:
    """`concept_count` independent directions, uniform on the unit sphere of the representation space."""
    vectors = torch.randn(concept_count, dimension, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    vectors = torch.nn.functional.normalize(vectors, dim=1).float()
    return ConceptLibrary("random", vectors, ("random",) * concept_count, ((),) * concept_count)
