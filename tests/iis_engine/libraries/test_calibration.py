"""Calibrated activations: centring, LayerNorm and the closed-form affine of each concept (METHOD §3)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.build import build_library
from iis_engine.libraries.calibration import calibrate
from iis_engine.libraries.combined import combine
from iis_engine.libraries.controls import draw_like, isotropic, matched
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.random import build_random
from iis_engine.specs import LibraryKind, LibrarySpec

CPU = torch.device("cpu")


def rows(count: int, dimension: int = 12, *, seed: int = 0, offset: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.relu(torch.randn(count, dimension, generator=generator)) + offset


def text_like(library: ConceptLibrary) -> ConceptLibrary:
    return replace(library, kind="text", origins=("text",) * len(library))


def by_hand(X_train: np.ndarray, X: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """METHOD §3 in numpy: standardise_j(LayerNorm_M((f(x) - μ)·c_j))."""
    mu = X_train.mean(axis=0)

    def layer_normed(values: np.ndarray) -> np.ndarray:
        z = (values - mu) @ vectors.T
        return (z - z.mean(axis=1, keepdims=True)) / z.std(axis=1, keepdims=True)

    train = layer_normed(X_train)
    return (layer_normed(X) - train.mean(axis=0)) / train.std(axis=0)


def test_activations_are_those_of_the_formula() -> None:
    library, X_train, X = build_random(12, 7, 0), rows(80), rows(20, seed=1)
    found = calibrate(library, X_train).apply(library).activations(X)
    expected = by_hand(X_train.double().numpy(), X.double().numpy(), library.vectors.double().numpy())
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_text_concepts_are_standardised_without_a_layer_norm() -> None:
    library, X_train = text_like(build_random(12, 5, 0)), rows(80)
    activations = calibrate(library, X_train).apply(library).activations(X_train).double()
    raw = X_train.double() @ library.vectors.double().T
    torch.testing.assert_close(activations, (raw - raw.mean(dim=0)) / raw.std(dim=0, correction=0), atol=1e-6, rtol=0)


def test_each_part_of_a_combined_library_is_normalised_alone() -> None:
    visual, words, X_train = build_random(12, 6, 0), text_like(build_random(12, 4, 1)), rows(80)
    together = combine([visual, words])
    activations = calibrate(together, X_train).apply(together).activations(X_train)
    torch.testing.assert_close(activations[:, :6], calibrate(visual, X_train).apply(visual).activations(X_train))
    torch.testing.assert_close(activations[:, 6:], calibrate(words, X_train).apply(words).activations(X_train))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.125, 64), st.floats(-100, 100))
def test_neither_a_constant_nor_a_scale_of_f_changes_the_activations(seed: int, scale: float, constant: float) -> None:
    library, X_train, X = build_random(12, 7, seed), rows(60, seed=seed), rows(10, seed=seed + 1)
    plain = calibrate(library, X_train).apply(library).activations(X)
    moved_train, moved = scale * X_train + constant, scale * X + constant
    found = calibrate(library, moved_train).apply(library).activations(moved)
    tolerance = 1e-5 * (1 + abs(constant) / scale)  # float32 rounds what is added
    torch.testing.assert_close(found, plain, atol=tolerance, rtol=0)


@pytest.mark.parametrize("kind", ["prototype", "cluster"])
def test_a_constant_of_f_changes_no_direction_of_a_visual_library(kind: LibraryKind) -> None:
    X, elements = rows(60), rows(90, seed=3)
    y = torch.arange(60) % 3
    features = FeatureSet(X, y, X, y, ("a", "b", "c"), elements)
    moved = replace(features, X_train=X + 64, X_test=X + 64, elements=elements + 64)
    spec = LibrarySpec(kind, 20)
    one, other = (build_library(each, spec, 0, CPU).vectors for each in (features, moved))
    torch.testing.assert_close(one, other, atol=2e-4, rtol=0)


def test_a_constant_representation_has_no_activation() -> None:
    library, X = build_random(12, 7, 0), torch.full((30, 12), 0.1)
    assert not calibrate(library, X).apply(library).activations(X).any()


def test_a_concept_that_never_varies_has_no_activation() -> None:
    X = rows(50)
    X[:, 0] = 3.0
    vectors = torch.zeros(2, 12)
    vectors[0, 0] = vectors[1, 1] = 1.0
    library = text_like(ConceptLibrary("random", vectors, ("random",) * 2, ((),) * 2))
    activations = calibrate(library, X).apply(library).activations(X)
    assert not activations[:, 0].any()
    assert activations[:, 1].std(correction=0) == pytest.approx(1.0, abs=1e-5)


def test_matched_directions_have_the_mean_and_covariance_of_the_library() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(400, 6, generator=generator) @ torch.diag(torch.arange(1.0, 7.0)) + 4, dim=1)
    library = ConceptLibrary("prototype", vectors, ("prototype",) * 400, ((),) * 400)
    drawn = draw_like(vectors, torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn.mean(dim=0), vectors.double().mean(dim=0))
    torch.testing.assert_close(drawn.T.cov(), vectors.double().T.cov())
    assert float((drawn - vectors).norm(dim=1).min()) > 0.01
    torch.testing.assert_close(matched(library, 1).vectors, torch.nn.functional.normalize(drawn, dim=1).float())
    assert not torch.equal(matched(library, 0).vectors, matched(library, 1).vectors)


def test_matched_directions_of_gaussian_directions_span_as_much() -> None:
    library = build_random(64, 20, 0)

    def effective_rank(vectors: Tensor) -> float:
        share = torch.linalg.svdvals(vectors.double() - vectors.double().mean(dim=0)).square()
        share = share / share.sum()
        return float(torch.exp(-(share * share.clamp_min(1e-300).log()).sum()))

    found = [effective_rank(matched(library, seed).vectors) for seed in range(5)]
    assert found == pytest.approx([effective_rank(library.vectors)] * 5, rel=0.06)


def test_controls_keep_the_blocks_of_the_library() -> None:
    library = combine([build_random(12, 6, 0), text_like(build_random(12, 4, 1))])
    for control in (matched(library, 0), isotropic(library.origins, 12, 0)):
        assert control.blocks() == library.blocks() == [slice(0, 6), slice(6, 10)]
        assert [control.has_layer_norm(block) for block in control.blocks()] == [True, False]
        torch.testing.assert_close(control.vectors.norm(dim=1), torch.ones(10))
