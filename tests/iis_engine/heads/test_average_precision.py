"""Average precision as scikit-learn computes it, and its values per image: their mean, and their spread against the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from iis_engine.heads import average_precision
from iis_engine.heads.average_precision import average_precision_values, average_precisions, mean_average_precision

PREVALENCES = torch.tensor([0.5, 0.3, 0.1, 0.05, 0.0])


def scores_and_labels(n: int = 400) -> tuple[Tensor, Tensor]:
    """Scores with ties that go with labels of unequal frequency; the last label has no image."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(n, len(PREVALENCES), generator=generator) < PREVALENCES).to(torch.uint8)
    scores = torch.randn(labels.shape, generator=generator) + labels
    return (scores * 3).round() / 3, labels


def test_average_precision_is_that_of_scikit_learn_with_ties() -> None:
    scores, labels = scores_and_labels()
    found = average_precisions(scores, labels)
    expected = [average_precision_score(labels[:, label], scores[:, label]) for label in range(4)]
    assert found[:4].tolist() == pytest.approx(expected, abs=1e-12)
    assert bool(found[4].isnan())
    assert mean_average_precision(scores, labels) == pytest.approx(float(np.mean(expected)), abs=1e-12)


def test_equal_scores_have_the_prevalence_as_average_precision() -> None:
    labels = torch.tensor([[1, 0], [0, 0], [0, 1], [0, 1]])
    assert average_precisions(torch.zeros(4, 2), labels).tolist() == [0.25, 0.5]
    assert average_precision_values(torch.zeros(4, 2), labels).tolist() == [0.5, 0.0, 0.5, 0.5]


def test_values_per_image_have_the_mean_average_precision_as_mean_and_its_derivative_as_deviation() -> None:
    scores, labels = scores_and_labels(60)
    values, mean = average_precision_values(scores, labels).double(), mean_average_precision(scores, labels)
    assert float(values.mean()) == pytest.approx(mean, abs=1e-7)

    def weighted(weights: np.ndarray) -> float:
        return float(np.mean([average_precision_score(labels[:, i], scores[:, i], sample_weight=weights) for i in range(4)]))

    for image in range(0, 60, 7):
        step = 1e-6 * np.eye(60)[image]
        derivative = (weighted(1 + step) - weighted(1 - step)) / 2e-6
        assert float(values[image]) - mean == pytest.approx(60 * derivative, abs=1e-5)


def test_the_spread_of_the_values_is_that_of_the_bootstrap_over_images() -> None:
    scores, labels = scores_and_labels(1000)
    scores, labels = scores[:, :3], labels[:, :3]
    values, rng = average_precision_values(scores, labels).double(), np.random.default_rng(0)
    draws = [torch.from_numpy(rng.integers(0, 1000, 1000)) for _ in range(400)]
    bootstrap = np.std([mean_average_precision(scores[rows], labels[rows]) for rows in draws])
    assert float(values.std()) / 1000**0.5 == pytest.approx(float(bootstrap), rel=0.1)


def test_labels_are_ranked_in_parts_of_bounded_size_to_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels = scores_and_labels(100)
    whole, mean = average_precisions(scores, labels), mean_average_precision(scores, labels)
    sizes: list[int] = []
    searchsorted = torch.searchsorted

    def recording(values: Tensor, *arguments: Tensor, right: bool = False) -> Tensor:
        sizes.append(values.numel())
        return searchsorted(values, *arguments, right=right)

    monkeypatch.setattr(average_precision, "ENTRIES_AT_ONCE", 250)
    monkeypatch.setattr(torch, "searchsorted", recording)
    assert torch.equal(average_precisions(scores, labels).nan_to_num(-1), whole.nan_to_num(-1))
    assert mean_average_precision(scores, labels) == mean
    assert set(sizes) == {200, 100}
