"""One-vs-rest heads: each label is at the optimum of its own binary problem, and the L2 strength is that of the least mean log-loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import Tensor

from iis_engine import protocols
from iis_engine.heads.logistic import fit_heads, predict
from iis_engine.heads.model_selection import TrainingRows, select_strengths
from iis_engine.heads.one_vs_rest import OneVsRestObjective, binary_log_losses
from iis_engine.heads.sparse_blocks import Group, Source

N, M = 400, 12
PREVALENCES = (0.5, 0.2, 0.05)


def planted(seed: int = 0) -> tuple[Source, Tensor]:
    """Activations, and labels of unequal frequency that depend on them."""
    generator = torch.Generator().manual_seed(seed)
    activations = torch.randn(N, M, generator=generator)
    noisy = activations @ torch.randn(M, 3, generator=torch.Generator().manual_seed(9)) + torch.randn(N, 3, generator=generator)
    thresholds = torch.tensor([float(noisy[:, label].quantile(1 - share)) for label, share in enumerate(PREVALENCES)])
    return Source.of(activations), (noisy > thresholds).to(torch.uint8)


def test_each_label_has_the_optimum_of_its_binary_problem() -> None:
    source, labels = planted()
    strengths, kept = (1e-1, 1e-3), (M, 4)
    groups = [Group(0, each, strengths) for each in kept]
    found = fit_heads([source], groups, labels, 3, 1e-7, kind=OneVsRestObjective)
    for place, (k, strength) in enumerate((k, strength) for k in kept for strength in strengths):
        for label in range(3):
            X = source.rows(0, N, k).numpy()
            model = LogisticRegression(C=1 / (N * strength), tol=1e-10, max_iter=10_000).fit(X, labels[:, label].numpy())
            assert found.weights[place, :-1, label].tolist() == pytest.approx(model.coef_[0].tolist(), abs=2e-4)
            assert float(found.weights[place, -1, label]) == pytest.approx(float(model.intercept_[0]), abs=2e-4)


def test_the_log_loss_is_the_mean_over_labels_of_scikit_learns() -> None:
    source, labels = planted()
    weights = torch.randn(2, M + 1, 3, generator=torch.Generator().manual_seed(1))
    logits = predict(source, M, weights)
    expected = [np.mean([log_loss(labels[:, i], logits[:, p, i].double().sigmoid()) for i in range(3)]) for p in range(2)]
    assert binary_log_losses(logits, labels).tolist() == pytest.approx(expected, rel=1e-6)


def test_one_strength_of_a_node_is_selected_for_all_labels_by_mean_log_loss_on_validation_rows() -> None:
    source, labels = planted()
    validation = torch.arange(N) % 5 == 0
    found = select_strengths(source, [M], TrainingRows(labels, validation, 3))
    held_out = source.where(validation)
    losses: list[float] = []
    for strength in protocols.L2_STRENGTHS:
        fit = fit_heads([source.where(~validation)], [Group(0, M, (strength,))], labels[~validation], 3, 1e-6, kind=OneVsRestObjective)
        losses.append(float(binary_log_losses(predict(held_out, M, fit.weights), labels[validation])[0]))
    least = int(np.argmin(losses))
    assert float(found.l2_strengths[0]) == pytest.approx(protocols.L2_STRENGTHS[least])
