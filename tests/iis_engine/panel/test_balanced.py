"""Balanced accuracy and ARR."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import balanced_accuracy_score

from iis_engine.panel.balanced import balanced_accuracy, balanced_arr, balanced_few_concepts, balanced_weights


def test_weights_give_every_class_the_same_share_and_an_absent_class_none() -> None:
    weights = balanced_weights(torch.tensor([0, 0, 0, 3]))
    assert weights.tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_balanced_accuracy_is_that_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.cat([torch.arange(3), torch.multinomial(torch.tensor([0.9, 0.07, 0.03]), 300, replacement=True, generator=generator)])
    predicted = torch.randint(0, 3, (2, 303), generator=generator)
    expected = [balanced_accuracy_score(y.numpy(), each.numpy()) for each in predicted]

    assert balanced_accuracy((predicted == y).float(), y).tolist() == pytest.approx(expected)


def test_with_classes_of_one_size_balanced_values_are_the_plain_ones() -> None:
    y = torch.arange(60) % 3
    correct = (torch.rand(2, 4, 60, generator=torch.Generator().manual_seed(1)) < 0.7).float()
    baseline = (torch.rand(60, generator=torch.Generator().manual_seed(2)) < 0.9).float()
    torch.testing.assert_close(balanced_arr(correct, baseline, y), correct.double().mean(dim=2) / baseline.double().mean())


def test_predicting_the_majority_class_has_a_balanced_accuracy_of_one_over_c() -> None:
    y = torch.tensor([0] * 91 + [1] * 5 + [2] * 4)
    assert float(balanced_accuracy((y == 0).float(), y)) == pytest.approx(1 / 3)


def test_few_concepts_are_those_with_a_node_averaged_over_seeds() -> None:
    y = torch.tensor([0, 0, 0, 1])
    correct = torch.tensor([[[1, 1, 1, 1], [1, 1, 1, 0]], [[1, 1, 1, 1], [0, 0, 0, 1]]]).float()
    assert balanced_few_concepts([10, 5], correct, y, [5, 10, 15]) == {5: pytest.approx(0.5), 10: pytest.approx(1)}


def test_arr_of_a_representation_that_classifies_nothing_is_refused() -> None:
    with pytest.raises(ZeroDivisionError, match="balanced accuracy of the representation is 0"):
        balanced_arr(torch.ones(2, 3), torch.zeros(3), torch.tensor([0, 1, 1]))
