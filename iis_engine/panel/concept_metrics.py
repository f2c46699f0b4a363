"""Metrics of each concept: MonoScore, class purity, firing rate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.panel.geometry import NearestConcepts

TOP_IMAGES = 20  # of a concept, whose classes give its purity
ROWS_AT_ONCE = 8192


@dataclass(frozen=True)
class ConceptMetrics:
    """Metrics of one concept on the test images.

    Attributes
    ----------
    concept : index in the library
    mono_score : similarity of the images that activate it; None where it is not defined
    class_purity : share of the most frequent class among its top images
    top_class : name of that class
    firing_rate : share of the images that keep the concept
    nearest_concept, nearest_cosine : the other concept with the highest cosine of centred vectors
    near_duplicates : number of other concepts above the cosine of a near-duplicate
    """

    concept: int
    mono_score: float | None
    class_purity: float
    top_class: str
    firing_rate: float
    nearest_concept: int
    nearest_cosine: float
    near_duplicates: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values."""
        return asdict(self)


@dataclass(frozen=True)
class ConceptTable:
    """The metrics of all concepts of one library, each (M,).

    Attributes
    ----------
    mono_score : float64, NaN where it is not defined
    class_purity, firing_rate : float64
    top_class : int64
    nearest : the nearest other concept of each
    """

    mono_score: Tensor
    class_purity: Tensor
    top_class: Tensor
    firing_rate: Tensor
    nearest: NearestConcepts

    def rows(self, class_names: tuple[str, ...]) -> tuple[ConceptMetrics, ...]:
        """One record per concept."""
        columns: dict[str, list[Any]] = {
            "mono_score": [None if value != value else value for value in self.mono_score.tolist()],  # noqa: PLR0124 (NaN)
            "class_purity": self.class_purity.tolist(),
            "top_class": [class_names[label] for label in self.top_class.tolist()],
            "firing_rate": self.firing_rate.tolist(),
            "nearest_concept": self.nearest.nearest.tolist(),
            "nearest_cosine": self.nearest.cosine.tolist(),
            "near_duplicates": self.nearest.duplicates.tolist(),
        }
        return tuple(
            ConceptMetrics(concept, **dict(zip(columns, values, strict=True)))
            for concept, values in enumerate(zip(*columns.values(), strict=True))
        )


def mono_scores(activations: Tensor, embeddings: Tensor) -> Tensor:
    """MonoScore: mean cosine of two images, weighted by the product of their min-max normalised activations ã of the concept.

    Σ_{n≠m} ã_n ã_m p_n·p_m / Σ_{n≠m} ã_n ã_m = (‖Σ ã p‖² - Σ ã²) / ((Σ ã)² - Σ ã²) for unit embeddings p.

    Parameters
    ----------
    activations : (n, M)
    embeddings : (n, d) unit rows

    Returns
    -------
    (M,) float64; NaN for a constant activation, and where fewer than two images activate the concept

    References
    ----------
    Pach et al., "Sparse Autoencoders Learn Monosemantic Features in Vision-Language Models", NeurIPS 2025, section 3.2.
    """
    low, high = activations.amin(dim=0).double(), activations.amax(dim=0).double()
    sums = torch.zeros(activations.shape[1], embeddings.shape[1], dtype=torch.float64, device=activations.device)  # Σ ã p
    first, second = torch.zeros_like(low), torch.zeros_like(low)  # Σ ã, Σ ã²
    for rows, units in zip(activations.split(ROWS_AT_ONCE), embeddings.split(ROWS_AT_ONCE), strict=True):
        scaled = (rows.double() - low) / (high - low)
        sums += scaled.T @ units.double()
        first += scaled.sum(dim=0)
        second += scaled.square().sum(dim=0)
    pairs = first.square() - second
    return torch.where(pairs > 1e-9 * second, (sums.square().sum(dim=1) - second) / pairs, torch.nan)


def centred_units(X: Tensor, mean: Tensor) -> Tensor:
    """Image embeddings p of MonoScore: (X - mean) with rows of length one, (n, d) float32; a row at the mean becomes zeros."""
    return normalize(X.double() - mean, dim=1).float()


def class_purity(activations: Tensor, y: Tensor, class_count: int, top: int = TOP_IMAGES) -> tuple[Tensor, Tensor]:
    """Share (M,) float64 of the most frequent class among the top images of each concept, and that class (M,) int64.

    The top images have the `top` highest activations, and all activations equal to the last of these, so that the order of the images
    has no effect. Purity by a fixed number of images does not depend on the firing rate, unlike purity of the images that keep it.

    Parameters
    ----------
    activations : (n, M)
    y : (n,) int64
    """
    threshold = activations.topk(min(top, len(activations)), dim=0).values[-1]
    counts = torch.zeros(class_count, activations.shape[1], dtype=torch.float64, device=activations.device)
    for rows, labels in zip(activations.split(ROWS_AT_ONCE), y.split(ROWS_AT_ONCE), strict=True):
        counts.index_add_(0, labels, (rows >= threshold).double())
    best = counts.max(dim=0)
    return best.values / counts.sum(dim=0), best.indices


def top_images(test_count: int, class_count: int) -> int:
    """Number of top images: `TOP_IMAGES`, or the mean size of a class where that is smaller, so that purity can reach 1."""
    return max(2, min(TOP_IMAGES, test_count // class_count))
