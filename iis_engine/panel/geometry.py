"""Metrics of the concept vectors alone: effective rank, near-duplicates, and stability between library seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.libraries.library import ConceptLibrary
from iis_engine.panel.samples import evenly_spaced

NEAR_DUPLICATE = 0.9  # cosine, as between phrases of a text library
EQUAL = 0.9999
ROUNDING = 1e-6  # length of the difference of two equal unit vectors in float32
ROWS_AT_ONCE = 256
MOST_MATCHED = 1000  # concepts of one library that are assigned to those of another; of a larger one, evenly spaced


@dataclass(frozen=True)
class Stability:
    """Agreement of the library's seeds.

    Attributes
    ----------
    cosine : mean cosine of matched concepts over all pairs of library seeds
    matched_cosine : the same between the draws of matched directions
    difference : cosine - matched_cosine
    """

    cosine: float
    matched_cosine: float
    difference: float


@dataclass(frozen=True)
class NearestConcepts:
    """The nearest other concept of each concept.

    Attributes
    ----------
    nearest : (M,) int64
    cosine : (M,) float64
    duplicates : (M,) int64, number of other concepts with a cosine above `NEAR_DUPLICATE`
    """

    nearest: Tensor
    cosine: Tensor
    duplicates: Tensor


def centred_vectors(library: ConceptLibrary) -> Tensor:
    """Unit rows (M, d) float64 of the concept vectors less the mean vector of their block; zeros for a vector that equals it.

    LayerNorm takes the mean of a block off its activations, so that a vector added to all concepts of the block changes no activation.
    Vectors of one network lie in a narrow cone, where the mean alone gives high cosines (Mu and Viswanath, "All-but-the-Top", ICLR 2018).
    """
    vectors = library.vectors.double()
    centred = torch.cat([vectors[block] - vectors[block].mean(dim=0) for block in library.blocks()])
    lengths = centred.norm(dim=1, keepdim=True)
    return torch.where(lengths > ROUNDING, centred / lengths.clamp_min(ROUNDING), 0.0)


def effective_rank(vectors: Tensor) -> float:
    """exp(-Σ p_i ln p_i) of the normalised singular values p of vectors (M, d): 1 to min(M, d), and 0 where all vectors are zero.

    References
    ----------
    Roy and Vetterli, "The Effective Rank: A Measure of Effective Dimensionality", EUSIPCO 2007.
    """
    values = torch.linalg.svdvals(vectors.double())
    return float(torch.special.entr(values / values.sum()).sum().exp()) if float(values.sum()) > 0 else 0.0


def nearest_concepts(library: ConceptLibrary) -> NearestConcepts:
    """Nearest other concept by the cosine of centred vectors, in blocks of rows; equal vectors have a cosine of 1."""
    whole, centred = normalize(library.vectors.double(), dim=1), centred_vectors(library)
    nearest, cosine, duplicates = [], [], []
    for start in range(0, len(whole), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        bare = whole[rows] @ whole.T
        cosines = torch.where(bare > EQUAL, bare, centred[rows] @ centred.T)
        own = torch.arange(len(cosines))
        cosines[own, start + own] = -torch.inf
        best = cosines.max(dim=1)
        nearest.append(best.indices)
        cosine.append(best.values)
        duplicates.append((cosines > NEAR_DUPLICATE).sum(dim=1))
    return NearestConcepts(torch.cat(nearest), torch.cat(cosine), torch.cat(duplicates))


def stability(libraries: Sequence[ConceptLibrary], matched: Sequence[ConceptLibrary]) -> Stability | None:
    """Mean Hungarian-matched cosine of centred vectors between library seeds less that of matched directions; None with fewer than two.

    References
    ----------
    Fel et al., "Archetypal SAE: Adaptive and Stable Dictionary Learning for Concept Extraction in Large Vision Models", ICML 2025.
    """
    if len(libraries) < 2 or len(matched) < 2:
        return None
    cosine, control = (_mean_matched_cosine([centred_vectors(library) for library in group]) for group in (libraries, matched))
    return Stability(cosine, control, cosine - control)


def matched_cosine(first: Tensor, second: Tensor) -> float:
    """Mean cosine of unit rows (M, d) and (M', d) under the one-to-one assignment that maximises it (Kuhn 1955)."""
    cosines = (first[evenly_spaced(len(first), MOST_MATCHED)] @ second.T).numpy()
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    return float(cosines[rows, columns].mean())


def _mean_matched_cosine(vectors: Sequence[Tensor]) -> float:
    pairs = list(combinations(vectors, 2))
    return sum(matched_cosine(first, second) for first, second in pairs) / len(pairs)
