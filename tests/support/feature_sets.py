"""Feature sets of separated classes, drawn at random, for tests of libraries and scores."""

from __future__ import annotations

import torch

from iis_engine.features.feature_set import FeatureSet


def random_features(dimension: int, per_class: int = 20, classes: int = 3, seed: int = 0) -> FeatureSet:
    """Draw features around a centre for each class, with elements of the same distribution."""
    generator = torch.Generator().manual_seed(seed)
    centres = 3 * torch.randn(classes, dimension, generator=generator)
    labels = torch.arange(classes).repeat_interleave(per_class)

    def draw() -> torch.Tensor:
        return centres[labels] + torch.randn(len(labels), dimension, generator=generator)

    return FeatureSet(draw(), labels, draw(), labels.clone(), tuple(str(label) for label in range(classes)), draw())
