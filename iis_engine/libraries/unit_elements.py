"""Features of visual elements as unit vectors, from which visual libraries and exemplars are taken."""

from __future__ import annotations

import torch
from torch import Tensor

from iis_engine.features.canonical_order import canonical_order
from iis_engine.features.feature_set import FeatureSet


def unit_elements(features: FeatureSet) -> tuple[Tensor, Tensor]:
    """L2-normalised element features (E, d) float64 and their indices (E,); elements that f maps to zero are dropped."""
    if features.elements is None:
        return torch.empty(0, features.X_train.shape[1], dtype=torch.float64), torch.empty(0, dtype=torch.int64)
    elements = features.elements.double()
    norms = elements.norm(dim=1)
    numbers = (norms > 0).nonzero().flatten()
    return elements[numbers] / norms[numbers].unsqueeze(1), numbers


def canonical_elements(features: FeatureSet) -> tuple[Tensor, Tensor]:
    """`unit_elements` in an order that depends on their content alone, not on the order of the file."""
    units, numbers = unit_elements(features)
    if features.elements is None:
        return units, numbers
    order = canonical_order(features.elements[numbers])
    order = order[torch.randperm(len(order), generator=torch.Generator().manual_seed(0))]
    return units[order], numbers[order]
