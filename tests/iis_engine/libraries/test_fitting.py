"""Fitted directions recover planted ones, and do not depend on scale or on other concepts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from iis_engine.libraries import fitting as imitation
from iis_engine.libraries.fitting import Imitation, cos_cubed

ROWS = 600


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def held_out(rows: int = ROWS) -> Tensor:
    return torch.arange(rows) % 5 == 0


def imitate(X: Tensor, P: Tensor, rows: Tensor) -> Imitation:
    """`imitate` with P given as the product of itself and the identity."""
    return imitation.imitate(X, P, torch.eye(P.shape[1]), rows)


def test_cos_cubed_of_three_rows_computed_by_hand() -> None:
    q = torch.tensor([[0.0], [1.0], [5.0]]).double()  # centred -2, -1, 3, cubed -8, -1, 27
    p = torch.tensor([[1.0], [0.0], [2.0]]).double()  # centred 0, -1, 1, cubed 0, -1, 1
    expected = (1 + 27) / ((64 + 1 + 729) ** 0.5 * 2**0.5)
    assert torch.allclose(cos_cubed(q, p), torch.tensor([expected]).double())


def test_cos_cubed_is_invariant_to_scale_and_shift_and_changes_sign_with_a_column() -> None:
    q, p = normal(50, 3).double(), normal(50, 3, seed=1).double()
    assert torch.allclose(cos_cubed(7 * q + 2, p), cos_cubed(q, p))
    assert torch.allclose(cos_cubed(-q, p), -cos_cubed(q, p))


def test_a_constant_column_has_similarity_zero() -> None:
    assert cos_cubed(torch.full((10, 1), 0.1), normal(10, 1)).item() == 0.0


def test_planted_directions_are_recovered() -> None:
    X, truth = normal(ROWS, 12), normal(12, 30, seed=1)
    found = imitate(X, X @ truth, held_out())
    assert found.similarity.min() > 0.999
    cosine = torch.nn.functional.cosine_similarity(found.vectors, truth.T.double(), dim=1)
    assert cosine.min() > 0.999  # and with the sign of the truth


def test_activations_on_held_out_rows_correlate_positively_with_the_target() -> None:
    X = torch.relu(normal(ROWS, 20))
    P = torch.tanh(X @ normal(20, 15, seed=1)) + 0.3 * normal(ROWS, 15, seed=2)
    found = imitate(X, P, held_out())
    rows = held_out()
    judged = X[rows].double() @ found.vectors.T
    centred, wanted = judged - judged.mean(dim=0), P[rows] - P[rows].mean(dim=0)
    assert ((centred * wanted).sum(dim=0) > 0).all()


def test_the_reported_similarity_is_that_of_the_held_out_rows() -> None:
    X, P = normal(ROWS, 8), normal(ROWS, 5, seed=1) + normal(ROWS, 8) @ normal(8, 5, seed=2)
    found = imitate(X, P, held_out())
    judged = X[held_out()].double() @ found.vectors.T
    assert torch.allclose(cos_cubed(judged, P[held_out()].double()), found.similarity, atol=1e-5)


def test_the_ascent_improves_on_its_closed_form_start(monkeypatch: pytest.MonkeyPatch) -> None:
    X, P = _rarely_high(3000)
    rows = held_out(3000)
    ascended = imitate(X, P, rows).similarity
    monkeypatch.setattr(imitation, "STEPS_MAX", 0)
    start = imitate(X, P, rows).similarity
    assert (ascended >= start).all()
    assert ascended.mean() > start.mean() + 0.01


def test_a_direction_depends_neither_on_scale_nor_on_other_concepts(monkeypatch: pytest.MonkeyPatch) -> None:
    X, P = _rarely_high(ROWS)
    whole = imitate(X, P, held_out())
    scaled = imitate(8 * X, 0.25 * P, held_out())
    monkeypatch.setattr(imitation, "ENTRIES_AT_ONCE", 3 * ROWS)  # three concepts at a time
    apart = imitate(X, P, held_out())
    for other in (scaled, apart):
        assert torch.allclose(other.similarity, whole.similarity, atol=1e-3)


def test_with_more_features_than_rows_held_out_similarity_is_still_high() -> None:
    factors = normal(120, 4)
    X, P = factors @ normal(4, 300, seed=1) + 0.3 * normal(120, 300, seed=2), factors @ normal(4, 10, seed=3)
    assert imitate(X, P, held_out(120)).similarity.min() > 0.9


def test_noise_has_low_held_out_similarity() -> None:
    found = imitate(normal(ROWS, 30), normal(ROWS, 40, seed=1), held_out())
    assert found.similarity.mean() < 0.35


def test_a_constant_target_and_a_constant_feature_give_finite_directions() -> None:
    X, P = normal(ROWS, 6), normal(ROWS, 2, seed=1)
    X[:, 0], P[:, 0] = 3.0, 0.5
    found = imitate(X, P, held_out())
    assert torch.isfinite(found.vectors).all()
    assert found.similarity[0] == 0.0


def _rarely_high(rows: int) -> tuple[Tensor, Tensor]:
    """Activations that are high on few rows, where least squares weighs all rows alike."""
    factors = normal(rows, 10)
    X = torch.relu(factors @ normal(10, 25, seed=1) + 0.2 * normal(rows, 25, seed=2))
    return X, torch.sigmoid(3 * (factors @ normal(10, 20, seed=3)) / 10**0.5 - 3)
