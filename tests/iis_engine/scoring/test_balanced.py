"""Balanced accuracy."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import balanced_accuracy_score

from iis_engine.scoring.balanced import balanced_accuracy, balanced_weights


def test_weights_give_every_class_the_same_share_and_an_absent_class_none() -> None:
    weights = balanced_weights(torch.tensor([0, 0, 0, 3]))
    assert weights.tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_balanced_accuracy_is_that_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.cat([torch.arange(3), torch.multinomial(torch.tensor([0.9, 0.07, 0.03]), 300, replacement=True, generator=generator)])
    predicted = torch.randint(0, 3, (2, 303), generator=generator)
    expected = [balanced_accuracy_score(y.numpy(), each.numpy()) for each in predicted]

    assert balanced_accuracy((predicted == y).float(), y).tolist() == pytest.approx(expected)


def test_predicting_the_majority_class_has_a_balanced_accuracy_of_one_over_c() -> None:
    y = torch.tensor([0] * 91 + [1] * 5 + [2] * 4)
    assert float(balanced_accuracy((y == 0).float(), y)) == pytest.approx(1 / 3)
