"""Warnings where a sparse code or a library is degenerate."""

from __future__ import annotations

import numpy as np
from scipy.stats import hypergeom

from iis_engine.panel.sparse_code import SparseCode

SMALLEST_USED_SHARE = 0.25  # of M: below, three quarters of the concepts might as well be absent
LARGEST_OVERLAP = 0.2  # beyond chance: two images share a third of their kept concepts, whatever they show
SMALLEST_POSITIVE_SHARE = 0.4  # symmetric activations have 0.5: below, most of the code says what an image is not like


def degenerate_warnings(code: SparseCode, rank: float, concept_count: int, dimension: int) -> tuple[str, ...]:
    """One sentence per degenerate value.

    Parameters
    ----------
    rank : effective rank of the library
    """
    k = code.kept
    found: list[str] = []
    if code.concepts_used < SMALLEST_USED_SHARE * concept_count:
        found.append(
            f"At k = {k} only {code.concepts_used:.0f} of {concept_count} concepts are in effect used: most images are described by the "
            "same concepts."
        )
    if overlap_beyond_chance(code.overlap, k, concept_count) > LARGEST_OVERLAP:
        found.append(
            f"At k = {k} the kept concepts of two images overlap by {code.overlap:.2f} (Jaccard) on average, where random sets overlap by "
            f"{chance_overlap(k, concept_count):.2f}: the code differs little between images."
        )
    if code.positive_share < SMALLEST_POSITIVE_SHARE:
        found.append(
            f"At k = {k} only {code.positive_share:.0%} of the kept activations are positive: most of the code lists concepts that an "
            "image does not resemble."
        )
    if rank < min(k, dimension / 2):
        found.append(
            f"The library has an effective rank of {rank:.1f}, less than the {k} concepts kept of an image: its concepts are nearly "
            "collinear."
        )
    return tuple(found)


def chance_overlap(kept: int, concept_count: int) -> float:
    """Expected Jaccard overlap of two independent uniform sets of k of M concepts: E[i / (2k - i)], i hypergeometric."""
    shared = np.arange(kept + 1)
    return float((hypergeom.pmf(shared, concept_count, kept, kept) * shared / (2 * kept - shared)).sum())


def overlap_beyond_chance(overlap: float, kept: int, concept_count: int) -> float:
    """(overlap - chance) / (1 - chance): 0 for independent uniform sets, 1 for equal ones; 0 where all concepts are kept."""
    chance = chance_overlap(kept, concept_count)
    return (overlap - chance) / (1 - chance) if kept < concept_count else 0.0
