"""NEC by the L1 path, against scikit-learn and a planted library; NCC in closed form and by its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from iis_engine.panel.effective_concepts import NEC_TARGETS, accuracy_at_nec, contributing_concepts
from iis_engine.panel.l1_path import l1_heads

CLASSES = 3


def planted(informative: int, concept_count: int, shift: float, n: int = 600) -> tuple[Tensor, Tensor]:
    """Standardised activations (n, M), of which `informative` per class are raised by `shift` in its images, and labels."""
    y = torch.arange(n) % CLASSES
    activations = torch.randn(n, concept_count, generator=torch.Generator().manual_seed(0))
    for label in range(CLASSES):
        activations[y == label, label * informative : (label + 1) * informative] += shift
    return (activations - activations.mean(dim=0)) / activations.std(dim=0, correction=0), y


def test_a_head_of_the_path_is_the_optimum_that_scikit_learn_finds() -> None:
    X, y = planted(4, 20, 1.5)
    (head,) = l1_heads(X, y, CLASSES, [24])
    reference = LogisticRegression(l1_ratio=1, solver="saga", C=1 / (head.strength * len(y)), tol=1e-6, max_iter=20_000, random_state=0)
    reference.fit(X.numpy(), y.numpy())

    assert head.nonzero == pytest.approx(int((reference.coef_ != 0).sum()), abs=1)
    np.testing.assert_allclose(head.weights.T.numpy(), reference.coef_, rtol=0.02, atol=0.01)


@pytest.mark.parametrize("shift", [0.3, 0.5])
def test_the_number_of_weights_never_exceeds_its_count_and_comes_near_it(shift: float) -> None:
    X, y = planted(10, 60, shift)
    counts = [3, 10, 30, 60, 100]
    found = [head.nonzero for head in l1_heads(X, y, CLASSES, counts)]

    assert all(0.7 * count <= number <= count for number, count in zip(found, counts, strict=True))


def test_a_path_that_ends_before_a_count_gives_its_last_head() -> None:
    X, y = planted(10, 60, 1.5)
    almost_all, all_ = l1_heads(X, y, CLASSES, [170, 180])
    assert almost_all is all_
    assert all_.nonzero < 170


def test_accuracy_at_few_weights_is_high_where_one_concept_tells_each_class() -> None:
    y = torch.arange(600) % 3
    one_hot = torch.nn.functional.one_hot(y, 3).float()
    noise = torch.randn(600, 57, generator=torch.Generator().manual_seed(0))
    activations = torch.cat([one_hot, noise], dim=1)
    points = accuracy_at_nec(activations[:300], y[:300], activations[300:], y[300:], 3)

    assert tuple(point.nec for point in points) == NEC_TARGETS
    assert points[0].accuracy == 1
    assert all(point.reached <= point.nec for point in points)


def test_accuracy_at_few_weights_falls_as_the_classes_spread_over_more_concepts() -> None:
    """The same distance between the classes, carried by 2, 10 or 40 concepts of each."""
    accuracies: list[float] = []
    for informative in (2, 10, 40):
        X, y = planted(informative, 120, 3 / informative**0.5, n=1200)
        accuracies.append(accuracy_at_nec(X[:600], y[:600], X[600:], y[600:], CLASSES)[0].accuracy)
    assert accuracies[0] > accuracies[1] > accuracies[2]


def test_a_constant_concept_leaves_the_accuracies_as_they_are() -> None:
    X, y = planted(4, 20, 1.0)
    with_constant = torch.cat([X, torch.full((600, 1), 3.0)], dim=1)
    plain, padded = (accuracy_at_nec(each[:300], y[:300], each[300:], y[300:], CLASSES) for each in (X, with_constant))
    assert [point.accuracy for point in padded] == pytest.approx([point.accuracy for point in plain], abs=0.005)


def head_of(weights: Tensor) -> Tensor:
    return torch.cat([weights, torch.zeros(1, weights.shape[1])])


@pytest.mark.parametrize(("kept", "expected"), [(1, 1), (10, 10), (20, 19), (40, 38)])
def test_equal_contributions_need_95_percent_of_the_kept_concepts(kept: int, expected: int) -> None:
    weights = torch.ones(40, 2) * torch.tensor([1.0, -1.0])
    assert contributing_concepts(torch.ones(5, 40), kept, head_of(weights)) == expected


def test_one_contribution_that_outweighs_all_others_is_enough() -> None:
    activations = torch.full((6, 30), 0.01)
    activations[:, 3] = 10
    assert contributing_concepts(activations, 20, head_of(torch.ones(30, 2) * torch.tensor([1.0, -1.0]))) == 1


def test_contributions_are_those_of_weights_less_their_mean_over_the_classes() -> None:
    weights = torch.zeros(4, 2)
    weights[:, 0], weights[:, 1] = torch.tensor([5.0, 5.0, 5.0, 6.0]), torch.tensor([5.0, 5.0, 5.0, 4.0])
    assert contributing_concepts(torch.ones(3, 4), 4, head_of(weights)) == 1


def test_ncc_is_the_mean_of_its_definition_over_images_and_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    activations, head = torch.randn(30, 12, generator=generator), torch.randn(13, 3, generator=generator)
    weights = head[:-1].double().numpy()
    weights = weights - weights.mean(axis=1, keepdims=True)
    counts: list[int] = []
    for row in activations.double().numpy():
        kept = np.argsort(-np.abs(row), kind="stable")[:7]
        for label in range(3):
            sizes = np.sort(np.abs(weights[kept, label] * row[kept]))[::-1]
            counts.append(next(count for count in range(1, 8) if sizes[:count].sum() >= 0.95 * sizes.sum()))

    assert contributing_concepts(activations, 7, head) == pytest.approx(np.mean(counts))


def test_a_head_without_weights_has_no_contributions() -> None:
    assert contributing_concepts(torch.ones(3, 4), 2, torch.zeros(5, 2)) == 0
