"""Features of visual elements as unit vectors, from which visual libraries and exemplars are taken."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from iis_engine.features.canonical_order import canonical_order
from iis_engine.features.feature_set import FeatureSet

RELATIVE_NOISE = 1e-9  # a centred element shorter than this share of the largest entry is rounding


def unit_elements(features: FeatureSet, *, centred: bool = False) -> tuple[Tensor, Tensor]:
    """L2-normalised element features (E, d) float64 and their indices (E,); elements that become zero are dropped.

    Parameters
    ----------
    centred : whether the elements' mean is subtracted first, so that their directions stay the same when a constant is added to f
    """
    if features.elements is None:
        return torch.empty(0, features.X_train.shape[1], dtype=torch.float64), torch.empty(0, dtype=torch.int64)
    elements = features.elements.double()
    noise = 0.0
    if centred:
        noise = RELATIVE_NOISE * float(elements.abs().max())
        elements = elements - elements.mean(dim=0)
    norms = elements.norm(dim=1)
    numbers = (norms > noise).nonzero().flatten()
    return elements[numbers] / norms[numbers].unsqueeze(1), numbers


def canonical_elements(features: FeatureSet, *, centred: bool) -> tuple[Tensor, Tensor]:
    """`unit_elements` in an order that depends on their content alone, not on the order of the file."""
    if features.elements is None:
        return unit_elements(features)
    order = canonical_order(features.elements)
    ordered = replace(features, elements=features.elements[order])
    units, places = unit_elements(ordered, centred=centred)
    shuffled = torch.randperm(len(units), generator=torch.Generator().manual_seed(0))
    return units[shuffled], order[places][shuffled]
