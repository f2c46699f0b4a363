"""Metrics of the sparse code g_s ∘ g_𝒞 at one k: concepts in effect used, overlap of kept sets, share of positive kept activations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from iis_engine.heads.sparsify import magnitude_ranks
from iis_engine.panel.samples import evenly_spaced

OVERLAP_IMAGES = 4000  # images whose pairs are compared: 8 million pairs give the mean to four digits
IMAGES_AT_ONCE = 512


@dataclass(frozen=True)
class SparseCode:
    """The sparse code of the test images.

    Attributes
    ----------
    kept : k
    concepts_used : exponential of the entropy of the concepts' use, between k and M
    overlap : mean Jaccard overlap of the kept sets of two images
    positive_share : share of kept activations that are positive
    """

    kept: int
    concepts_used: float
    overlap: float
    positive_share: float

    @staticmethod
    def of(activations: Tensor, kept: int) -> SparseCode:
        """Measure dense activations (n, M), in canonical order, of which each image keeps the `kept` largest magnitudes."""
        mask = kept_mask(activations, kept)
        return SparseCode(
            kept=kept,
            concepts_used=concepts_used(mask),
            overlap=kept_set_overlap(mask[evenly_spaced(len(mask), OVERLAP_IMAGES)]),
            positive_share=float((activations[mask] > 0).double().mean()),
        )


def kept_mask(activations: Tensor, kept: int) -> Tensor:
    """(n, M) bool: the concepts that g_s keeps of each image (eq. 4)."""
    return magnitude_ranks(activations) < kept


def concepts_used(mask: Tensor) -> float:
    """exp(-Σ_j q_j ln q_j), where q_j is the share of all kept activations that are of concept j (Hill 1973, order 1).

    Parameters
    ----------
    mask : (n, M) bool

    References
    ----------
    Hill, "Diversity and Evenness: A Unifying Notation and Its Consequences", Ecology 1973.
    """
    use = mask.sum(dim=0).double()
    return float(torch.special.entr(use / use.sum()).sum().exp())


def kept_set_overlap(mask: Tensor) -> float:
    """Mean Jaccard overlap |A ∩ B| / |A ∪ B| over all pairs of two images, by blocks of images; 0 with fewer than two images.

    Parameters
    ----------
    mask : (n, M) bool, with the same number of kept concepts in each row
    """
    n = len(mask)
    if n < 2:
        return 0.0
    members = mask.float()
    kept = members[0].sum()
    total = torch.zeros((), dtype=torch.float64, device=mask.device)
    for rows in members.split(IMAGES_AT_ONCE):
        shared = rows @ members.T
        total += (shared / (2 * kept - shared)).sum(dtype=torch.float64)
    return (float(total) - n) / (n * (n - 1))  # less the pairs of an image with itself, which overlap by 1
