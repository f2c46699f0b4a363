"""NMF libraries: the parts that non-negative elements are sums of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from iis_engine.errors import LibraryError
from iis_engine.libraries.build import build_library
from iis_engine.libraries.nmf import build_nmf
from iis_engine.specs import LibrarySpec
from support.feature_sets import random_features

CPU = torch.device("cpu")


def test_the_parts_of_sums_are_found() -> None:
    parts = torch.tensor([[1.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0, 3.0]])
    weights = torch.rand(60, 3, generator=torch.Generator().manual_seed(0)) * (
        torch.rand(60, 3, generator=torch.Generator().manual_seed(1)) > 0.4
    )
    sums = weights @ parts
    units = torch.nn.functional.normalize(sums[sums.norm(dim=1) > 0], dim=1).double()
    found = build_nmf(units, torch.arange(len(units)), 3, 0).vectors
    expected = torch.nn.functional.normalize(parts, dim=1)
    assert (found @ expected.T).max(dim=0).values.tolist() == pytest.approx([1, 1, 1], abs=1e-2)
    assert bool((found >= 0).all())


def test_negative_features_and_too_many_concepts_are_refused() -> None:
    drawn = random_features(4)
    with pytest.raises(LibraryError, match="needs a representation without negative values"):
        build_library(drawn, LibrarySpec("nmf", 2), 0, CPU)
    positive = replace(drawn, elements=(drawn.elements if drawn.elements is not None else torch.zeros(1, 4)).abs())
    with pytest.raises(LibraryError, match="at most as many concepts as the representation has dimensions, 4"):
        build_library(positive, LibrarySpec("nmf", 5), 0, CPU)
    library = build_library(positive, LibrarySpec("nmf", 3), 0, CPU)
    assert library.origins == ("nmf",) * 3
    assert torch.allclose(library.vectors.norm(dim=1), torch.ones(3))
