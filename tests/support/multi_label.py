"""Multi-label feature sets with labels of unequal frequency that depend on the features."""

from __future__ import annotations

import torch
from torch import Tensor

from iis_engine.features.feature_set import FeatureSet
from iis_engine.features.label_matrices import rarest_labels_of_splits

PREVALENCES = (0.4, 0.25, 0.1)
NAMES = ("sky", "tree", "bird")


def multi_label_features(train_count: int = 160, test_count: int = 100, dimension: int = 8, *, informative: bool = True) -> FeatureSet:
    """Features whose labels are half-spaces with noise, or drawn apart from them; some rows have several labels and some none."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(dimension, len(NAMES), generator=generator)

    def split(count: int) -> tuple[Tensor, Tensor]:
        X = torch.randn(count, dimension, generator=generator) + 0.5
        signal = X @ directions if informative else torch.zeros(count, len(NAMES))
        noisy = signal + torch.randn(count, len(NAMES), generator=generator)
        thresholds = torch.stack([noisy[:, label].quantile(1 - share) for label, share in enumerate(PREVALENCES)])
        return X, (noisy > thresholds).to(torch.uint8)

    (X_train, labels_train), (X_test, labels_test) = split(train_count), split(test_count)
    y_train, y_test = rarest_labels_of_splits(labels_train, labels_test)
    return FeatureSet(
        X_train,
        y_train,
        X_test,
        y_test,
        NAMES,
        torch.randn(80, dimension, generator=generator) + 0.5,
        labels_train=labels_train,
        labels_test=labels_test,
    )
