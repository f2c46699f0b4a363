"""Selectivity on a representation whose classes and clusters are planted in separate axes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from iis_engine.features.canonical_order import in_canonical_order
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.panel.selectivity import measure_selectivity

CPU = torch.device("cpu")
CLASSES, PARTS = 4, 5


def planted() -> FeatureSet:
    """Twenty clusters: a class on four axes, and a part of the class on five others."""
    generator = torch.Generator().manual_seed(0)

    def split(n: int) -> tuple[Tensor, Tensor]:
        y, part = torch.arange(n) % CLASSES, torch.arange(n) // CLASSES % PARTS
        clean = torch.cat([one_hot(y, CLASSES), one_hot(part, PARTS)], dim=1).float() * 5
        return clean + 0.3 * torch.randn(clean.shape, generator=generator), y

    (X_train, y_train), (X_test, y_test) = split(600), split(400)
    return in_canonical_order(FeatureSet(X_train, y_train, X_test, y_test, tuple("abcd")))


def library(vectors: Tensor) -> ConceptLibrary:
    return ConceptLibrary("prototype", normalize(vectors, dim=1), ("prototype",) * len(vectors), ((),) * len(vectors))


def test_concepts_of_the_classes_are_selective_and_directions_that_keep_everything_are_not() -> None:
    features = planted()
    of_classes = torch.zeros(30, CLASSES + PARTS)
    of_classes[:, :CLASSES] = torch.randn(30, CLASSES, generator=torch.Generator().manual_seed(1))
    of_everything = torch.randn(30, CLASSES + PARTS, generator=torch.Generator().manual_seed(2))
    selective, unselective = (measure_selectivity(features, library(vectors), 15, CPU) for vectors in (of_classes, of_everything))

    assert selective.clusters == CLASSES * PARTS
    assert selective.arr == pytest.approx(1, abs=0.02)
    assert unselective.arr == pytest.approx(1, abs=0.05)
    assert selective.difference > 0.15
    assert unselective.control_arr > selective.control_arr + 0.15
    assert selective.difference == pytest.approx(selective.arr - selective.control_arr)
