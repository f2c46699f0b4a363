"""g_s: keep each sample's largest concept activations and zero the rest. Masks by rank; no head and no curve lives here."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def magnitude_ranks(activations: Tensor) -> Tensor:
    """Rank of each activation within its sample: 0 is the largest magnitude, ties go to the lower concept index.

    Parameters
    ----------
    activations : (n, M) float

    Returns
    -------
    (n, M) int16, or int32 where M exceeds an int16
    """
    concept_count = activations.shape[1]
    dtype = torch.int16 if concept_count <= torch.iinfo(torch.int16).max else torch.int32
    order = torch.argsort(activations.abs(), dim=1, descending=True, stable=True)
    ranks = torch.empty(activations.shape, dtype=dtype, device=activations.device)
    places = torch.arange(concept_count, dtype=dtype, device=activations.device).expand_as(order)
    return ranks.scatter_(1, order, places)


def sparsify(activations: Tensor, kept: int) -> Tensor:
    """Hard threshold: exactly `kept` activations of largest magnitude stay as they are, the others become zero (eq. 4).

    Parameters
    ----------
    activations : (n, M) float
    kept : k in 0..M

    Examples
    --------
    >>> sparsify(torch.tensor([[3.0, -4.0, 1.0]]), 2)
    tensor([[ 3., -4.,  0.]])
    """
    return torch.where(magnitude_ranks(activations) < kept, activations, torch.zeros_like(activations))


def sparsify_like_authors(activations: Tensor, dropped: int) -> Tensor:
    """The released code's rule: zero every magnitude up to and including the one at place `dropped` in rising order.

    So M - dropped - 1 activations stay where magnitudes differ, and tied ones fall together (METHOD §3).
    Shape (..., M); the threshold itself carries no gradient.
    """
    magnitudes = activations.detach().abs()
    return torch.where(magnitudes > _at_place(magnitudes, dropped), activations, torch.zeros_like(activations))


def _at_place(values: Tensor, place: int) -> Tensor:
    """What is at a place in rising order, (..., M) -> (..., 1). On a CPU NumPy's vectorised sort is several times as fast as kthvalue."""
    if values.device.type != "cpu":
        return values.kthvalue(place + 1, dim=-1, keepdim=True).values
    return torch.from_numpy(np.sort(values.numpy(), axis=-1)[..., place : place + 1])
