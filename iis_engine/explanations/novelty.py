"""Novelty of an image: the distance of its f(x) to the nearest training image, against the training images' own such distances.

It is a nearest-neighbour detector of inputs from another distribution (Sun et al., Out-of-Distribution Detection with Deep Nearest
Neighbors, ICML 2022, here without their normalisation, in the space that the heads read), with a conformal p-value (Bates et al., Testing
for outliers with conformal p-values, Annals of Statistics 51, 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

MAX_ROWS = 2048
UNLIKE_BELOW = 0.01


@dataclass(frozen=True)
class Novelty:
    """Distance of an image from the training images.

    Attributes
    ----------
    distance : Euclidean distance in f to the nearest compared training image
    typical_distance : median of the same distance over these training images, each to the nearest other
    p_value : (1 + number of these training images that are as far from their nearest) / (1 + their number)
    training_images : number of compared training images
    """

    distance: float
    typical_distance: float
    p_value: float
    training_images: int

    @property
    def is_unlike(self) -> bool:
        """Whether fewer than 1 % of the training images are as far from the others."""
        return self.p_value < UNLIKE_BELOW


@dataclass(frozen=True)
class TrainingReference:
    """Training images that an image is compared with.

    Attributes
    ----------
    rows : (r, d) float64
    nearest : (r,) float64, distance of each row to the nearest other row
    """

    rows: Tensor
    nearest: Tensor

    @staticmethod
    def of(X: Tensor) -> TrainingReference:
        """Compare up to `MAX_ROWS` rows, evenly spaced, of training features X (n, d) with n >= 2."""
        rows = X[evenly_spaced(len(X))].double()
        distances = torch.cdist(rows, rows)
        distances.fill_diagonal_(torch.inf)
        return TrainingReference(rows, distances.min(dim=1).values)

    @staticmethod
    def read(path: Path) -> TrainingReference | None:
        """Read a file of `FeatureSet.save` without its other rows; None with fewer than two training images."""
        with safe_open(path, framework="pt") as file:
            X = file.get_slice("X_train")
            count: int = X.get_shape()[0]
            return TrainingReference.of(torch.stack([X[row] for row in evenly_spaced(count)])) if count > 1 else None

    def novelty(self, f: Tensor) -> Novelty:
        """Novelty of an image with representation f (d,)."""
        distance = float(torch.cdist(f.double()[None], self.rows).min())
        as_far = int((self.nearest >= distance).sum())
        count = len(self.nearest)
        return Novelty(distance, float(self.nearest.median()), (1 + as_far) / (1 + count), count)


def read_test_row(path: Path, index: int) -> Tensor:
    """(d,) float32, f of a test image from a file of `FeatureSet.save`."""
    with safe_open(path, framework="pt") as file:
        return file.get_slice("X_test")[index]


def evenly_spaced(count: int) -> list[int]:
    """Up to `MAX_ROWS` distinct indices of `count` rows."""
    kept = min(count, MAX_ROWS)
    return [place * count // kept for place in range(kept)]
