"""The closed-form calibration of a library's activations: centring by the training mean, and an affine of each concept (METHOD §3).

Without centring, ⟨μ, c_j⟩ is the same for all images and differs by concept, so that it decides which concepts survive the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from iis_engine.libraries.library import RELATIVE_NOISE, ROWS_AT_ONCE, ConceptLibrary


@dataclass(frozen=True)
class Calibration:
    """What the training rows say about a library's activations.

    Attributes
    ----------
    centre : (d,) float64, μ, the mean of f
    means, deviations : (M,) float64, of the activations before the affine
    """

    centre: Tensor
    means: Tensor
    deviations: Tensor

    def apply(self, library: ConceptLibrary) -> ConceptLibrary:
        """The library with calibrated activations."""
        return replace(library, centre=self.centre, means=self.means, deviations=self.deviations)


def calibrate(library: ConceptLibrary, X: Tensor) -> Calibration:
    """Measure μ, and mean and deviation of every activation over the training rows.

    Parameters
    ----------
    X : (n, d) float32, the training rows, in canonical order where results must not depend on the order of the data set
    """
    centre = training_mean(X)
    bare = replace(library, centre=centre, means=None, deviations=None)
    means, deviations = _activation_moments(bare, X)
    return Calibration(centre.cpu(), means.cpu(), deviations.cpu())


def training_mean(X: Tensor) -> Tensor:
    """μ (d,) float64 of rows X (n, d)."""
    return torch.stack([rows.double().sum(dim=0) for rows in X.split(ROWS_AT_ONCE)]).sum(dim=0) / len(X)


def _activation_moments(library: ConceptLibrary, X: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (M,) float64 of the activations before the affine, in one pass (Chan et al. 1979).

    A deviation that is rounding beside the largest activation becomes zero.
    """
    count = len(library)
    mean, squares, largest = (torch.zeros(count, dtype=torch.float64, device=X.device) for _ in range(3))
    n = 0
    for rows in X.split(ROWS_AT_ONCE):
        values = torch.cat([block for _, block in library.before_affine(rows)], dim=1)
        n += len(values)
        shift = values.mean(dim=0) - mean
        squares += (values - values.mean(dim=0)).square().sum(dim=0) + shift.square() * (n - len(values)) * len(values) / n
        mean += shift * len(values) / n
        largest = torch.maximum(largest, values.abs().amax(dim=0))
    deviation = (squares / n).sqrt()
    return mean, torch.where(deviation > RELATIVE_NOISE * largest, deviation, 0.0)
