"""The stacked solver finds scikit-learn's optimum for every problem of the stack."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from iis_engine.heads.logistic import fit_heads, predict
from iis_engine.heads.sparse_blocks import Group, Source
from iis_engine.heads.sparsify import sparsify

STRENGTHS = (1e-1, 1e-2, 1e-3)
TOLERANCE = 1e-6
Problem = tuple[Tensor, Tensor]
"""Activations (n, M) and labels (n,)."""


@pytest.fixture(scope="module")
def problem() -> Problem:
    generator = torch.Generator().manual_seed(3)
    centres = torch.randn(4, 30, generator=generator)
    y = torch.arange(600) % 4
    activations = centres[y] * 0.7 + torch.randn(600, 30, generator=generator)
    return activations, y


def sklearn_optimum(X: Tensor, y: Tensor, strength: float) -> tuple[NDArray[np.int64], float]:
    """Predicted labels (n,) and the loss at the optimum."""
    model = LogisticRegression(C=1 / (len(X) * strength), tol=1e-10, max_iter=5000).fit(X.double().numpy(), y.numpy())
    likelihood = model.predict_log_proba(X.double().numpy())[np.arange(len(y)), y.numpy()].mean()
    return model.predict(X.double().numpy()), -likelihood + strength / 2 * (model.coef_**2).sum()


def test_every_sparsity_and_strength_agrees_with_scikit_learn(problem: Problem) -> None:
    activations, y = problem
    kept = (30, 12, 3)
    source = Source.of(activations)
    heads = fit_heads([source], [Group(0, k, STRENGTHS) for k in kept], y, 4, TOLERANCE)
    assert float(heads.gradient_norm.max()) <= 1e-6
    for p, (k, strength) in enumerate(product(kept, STRENGTHS)):
        X = sparsify(activations, k)
        labels, loss = sklearn_optimum(X, y, strength)
        assert float(heads.loss[p]) == pytest.approx(loss, abs=1e-4)
        ours = predict(source, k, heads.weights[p : p + 1]).argmax(dim=2).squeeze(1)
        assert (ours.numpy() == labels).all()


def test_a_problem_has_the_same_solution_alone_and_in_a_stack(problem: Problem) -> None:
    activations, y = problem
    other = Source.of(activations.flip(1) * 2)
    stack = [Group(0, 30, STRENGTHS), Group(1, 7, STRENGTHS), Group(0, 5, STRENGTHS)]
    together = fit_heads([Source.of(activations), other], stack, y, 4, TOLERANCE)
    alone = fit_heads([other], [Group(0, 7, STRENGTHS)], y, 4, TOLERANCE)
    torch.testing.assert_close(together.weights[3:6], alone.weights, atol=1e-3, rtol=0)


def test_groups_solved_in_blocks_of_rows_reach_the_optimum_of_each_alone(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups that are dense and compressed, with one strength and with several, and that end at different times."""
    activations, y = problem
    groups = [Group(0, 2, (1e-3,)), Group(0, 30, STRENGTHS), Group(0, 3, STRENGTHS), Group(0, 9, (1e-1, 1e-4))]
    alone = torch.cat([fit_heads([Source.of(activations)], [group], y, 4, TOLERANCE).weights for group in groups])
    whole = fit_heads([Source.of(activations)], groups, y, 4, TOLERANCE)
    monkeypatch.setattr("iis_engine.heads.sparse_blocks.BLOCK_ELEMENTS", 50 * 30 * len(groups))
    parts = fit_heads([Source.of(activations)], groups, y, 4, TOLERANCE)
    torch.testing.assert_close(whole.weights, alone, atol=1e-3, rtol=0)
    torch.testing.assert_close(parts.weights, alone, atol=1e-3, rtol=0)


def test_a_stopped_problem_saves_evaluations_and_leaves_the_others_unchanged(problem: Problem) -> None:
    activations, y = problem
    groups = [Group(0, 30, (1e-1, 1e-6))]
    full = fit_heads([Source.of(activations)], groups, y, 4, TOLERANCE)

    def second_one_after_the_first(solved: Tensor, points: Tensor, ahead: Tensor, norms: Tensor) -> Tensor:
        return torch.tensor([False, True]) & solved[0]

    cut = fit_heads([Source.of(activations)], groups, y, 4, TOLERANCE, watch=second_one_after_the_first)
    assert cut.evaluations < full.evaluations
    torch.testing.assert_close(cut.weights[0], full.weights[0], atol=1e-3, rtol=0)


def test_a_watch_sees_points_that_approach_the_optimum_and_what_lies_ahead_is_nearer(problem: Problem) -> None:
    activations, y = problem
    groups = [Group(0, 30, (1e-2,))]
    optimum = fit_heads([Source.of(activations)], groups, y, 4, 1e-7).weights[0]
    seen: list[tuple[float, float, float]] = []

    def record(solved: Tensor, points: Tensor, ahead: Tensor, norms: Tensor) -> Tensor:
        seen.append((float((points[0] - optimum).norm()), float((ahead[0] - optimum).norm()), float(norms[0])))
        return torch.zeros_like(solved)

    fit_heads([Source.of(activations)], groups, y, 4, 1e-6, watch=record)
    assert len(seen) >= 3
    distances, ahead, norms = zip(*seen, strict=True)
    assert list(distances) == sorted(distances, reverse=True)
    assert all(after < now for now, after in zip(distances[:-1], ahead[:-1], strict=True))
    assert norms[-1] <= 1e-6 < norms[-2]


def test_separable_classes_and_constant_columns_are_solved_to_tolerance() -> None:
    activations = torch.tensor([[1.0, 0.0, 1.0], [2.0, 0.0, 1.0], [-1.0, 0.0, 1.0], [-2.0, 0.0, 1.0]])
    y = torch.tensor([0, 0, 1, 1])
    heads = fit_heads([Source(activations, None)], [Group(0, 3, (1e-3,))], y, 2, TOLERANCE)
    assert float(heads.gradient_norm[0]) <= 1e-6
    assert predict(Source(activations, None), 3, heads.weights).argmax(dim=2).squeeze(1).tolist() == [0, 0, 1, 1]
