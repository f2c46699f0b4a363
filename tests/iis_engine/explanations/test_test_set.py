"""Stored predictions of the test images, and their summaries by class and by concept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from iis_engine.explanations.explain import TOP_CLASSES
from iis_engine.explanations.test_set import (
    HISTOGRAM_BINS,
    TENSORS,
    TestSet,
    activation_histogram,
    class_profile,
    concept_use,
    confusion_counts,
    levels_of_activation,
    near_duplicates,
)
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.scoring.predictor import Predictor
from support.scored import Scored

# Centred weights [2 -1 -1], [-1 2 -1], [-1 -1 2], and no bias: each of three concepts is evidence for its class.
HEAD = torch.cat([3 * torch.eye(3), torch.zeros(1, 3)])
ACTIVATIONS = torch.tensor([[3.0, 1, 0], [1, 2, 0], [0, 3, 1], [-4, 0, 1]])
LABELS = torch.tensor([0, 0, 1, 2])


@pytest.fixture
def predictor() -> Predictor:
    library = ConceptLibrary("random", torch.eye(3), ("random",) * 3, ())
    return Predictor(library, 1, HEAD, ("a", "b", "c"), (None,) * 3)


@pytest.fixture
def tested() -> TestSet:
    tops = torch.tensor([[0, 1, 2], [0, 2, 1], [2, 1, 0], [2, 1, 0]])
    return TestSet(ACTIVATIONS, LABELS, torch.arange(4), tops, torch.tensor([[0.5, 0.3, 0.2]] * 4).double(), tuple("wxyz"))


def test_each_row_keeps_the_name_of_its_image_where_images_are_missing(digits: Scored) -> None:
    names = [f"{place:03d}.png" for place in range(10)]
    features = replace(
        digits.features,
        X_test=digits.features.X_test[:6],
        y_test=digits.features.y_test[:6],
        test_rows=torch.tensor([9, 0, 3, 4, 5, 7]),
    )
    tested = TestSet.of(features, digits.family, names)
    assert tested.names == ("009.png", "000.png", "003.png", "004.png", "005.png", "007.png")
    assert tested.rows.tolist() == [9, 0, 3, 4, 5, 7]
    assert torch.equal(tested.activations, digits.family.library.activations(features.X_test))


def test_ready_matrices_count_their_own_rows_and_have_no_names(digits: Scored) -> None:
    tested = TestSet.of(digits.features, digits.family)
    assert tested.rows.tolist() == list(range(len(digits.features.y_test)))
    assert tested.names == ()
    assert torch.equal(tested.labels, digits.features.y_test)


def test_stored_outcomes_equal_the_predictions_of_both_heads(digits: Scored) -> None:
    tested, X = TestSet.of(digits.features, digits.family), digits.features.X_test
    probabilities = digits.family.baseline_logits(X).softmax(dim=1)
    predictor = digits.family.at()
    outcomes, expected = tested.outcomes(predictor), predictor.predict_proba(X).max(dim=1)
    assert torch.equal(outcomes.labels, predictor.predict(X))
    assert torch.allclose(outcomes.probabilities, expected.values, atol=1e-12)
    for index in range(0, len(tested), 7):
        prediction = tested.representation(index)
        assert (prediction.label, prediction.probability) == (
            int(probabilities[index].argmax()),
            pytest.approx(float(probabilities[index].max())),
        )
        likeliest = probabilities[index].sort(descending=True).values[:TOP_CLASSES].tolist()
        assert [probability for _, probability in prediction.top] == pytest.approx(likeliest)
    right = float((tested.top_labels[:, 0] == tested.labels).double().mean())
    assert right == pytest.approx(float(digits.measured.baseline_correct.mean()), abs=1 / len(tested) + 1e-6)


def test_a_split_read_back_from_its_file_is_the_same(tested: TestSet, tmp_path: Path) -> None:
    tested.save(tmp_path / "tested.safetensors")
    read = TestSet.load(tmp_path / "tested.safetensors")
    assert read.names == tuple("wxyz")
    for name in TENSORS:
        same: tuple[Tensor, Tensor] = getattr(read, name), getattr(tested, name)
        assert torch.equal(*same)
        assert same[0].dtype == same[1].dtype


def test_the_profile_of_a_class_computed_by_hand(tested: TestSet, predictor: Predictor) -> None:
    outcomes = tested.outcomes(predictor)
    assert outcomes.labels.tolist() == [0, 1, 1, 1]  # -4 of the first concept is evidence against a, and b comes before c
    profile = class_profile(tested, outcomes, predictor, 0)
    assert (profile.images, profile.baseline_accuracy, profile.accuracy, profile.bias) == (2, 1, 0.5, 0)
    assert profile.weights.tolist() == [2, -1, -1]
    assert profile.mean_contributions.tolist() == [3, -1, 0]  # kept alone: 3 of the first in one image, 2 of the second in the other
    assert profile.confused_with == ((1, 1),)
    other = class_profile(tested, outcomes, predictor, 1)
    assert (other.images, other.baseline_accuracy, other.accuracy, other.confused_with) == (1, 0, 1, ())
    assert other.mean_contributions.tolist() == [0, 6, 0]


def test_a_class_without_a_test_image_has_no_accuracy(tested: TestSet, predictor: Predictor) -> None:
    emptied = replace(tested, labels=torch.zeros_like(tested.labels))
    profile = class_profile(emptied, emptied.outcomes(predictor), predictor, 1)
    assert (profile.images, profile.baseline_accuracy, profile.accuracy) == (0, None, None)


def test_confusions_are_sorted_by_decreasing_number_of_images(predictor: Predictor) -> None:
    activations = torch.tensor([[0.0, 0, 2], [0, 2, 0], [0, 0, 3], [2, 0, 0]])
    tops = torch.zeros(4, 3, dtype=torch.int64)
    tested = TestSet(activations, torch.zeros(4, dtype=torch.int64), torch.arange(4), tops, torch.ones(4, 3).double())
    assert class_profile(tested, tested.outcomes(predictor), predictor, 0).confused_with == ((2, 2), (1, 1))


def test_firing_rates_and_importances_computed_by_hand(tested: TestSet, predictor: Predictor) -> None:
    use = concept_use(tested, tested.outcomes(predictor), predictor)
    assert use.firing_rates.tolist() == [0.5, 0.5, 0]
    # Of the predicted classes a, b, b, b: 2 * 3, 2 * 2, 2 * 3 and -1 * -4.
    assert use.importances.tolist() == [(6 + 4) / 4, (4 + 6) / 4, 0]


def test_near_duplicates_are_sorted_by_cosine_and_exclude_the_concept_itself() -> None:
    angles = torch.tensor([0.0, 0.3, 0.1, 1.5, 3.1])
    vectors = torch.stack([angles.cos(), angles.sin()], dim=1)
    predictor = Predictor(ConceptLibrary("random", vectors, ("random",) * 5, ()), 1, torch.zeros(6, 2), ("a", "b"), (None,) * 5)
    near = near_duplicates(predictor, [0, 3, 1])
    assert [[other for other, _ in row] for row in near] == [[2, 1], [], [2, 0]]
    assert [cosine for _, cosine in near[0]] == pytest.approx([0.995004, 0.955336], abs=1e-5)


def test_confusions_count_images_by_true_and_predicted_class() -> None:
    labels, predicted = torch.tensor([0, 0, 1, 2, 0]), torch.tensor([0, 1, 1, 0, 0])
    assert confusion_counts(labels, predicted, 3) == [[2, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_a_histogram_has_bins_of_equal_width_from_the_smallest_to_the_largest_activation() -> None:
    edges, counts = activation_histogram(torch.tensor([-1.0, -0.99, 0.0, 1.0]))
    assert (edges[0], edges[-1], len(edges), len(counts)) == (-1, 1, HISTOGRAM_BINS + 1, HISTOGRAM_BINS)
    assert edges[1] - edges[0] == pytest.approx(2 / HISTOGRAM_BINS)
    assert {place: count for place, count in enumerate(counts) if count} == {0: 2, HISTOGRAM_BINS // 2: 1, HISTOGRAM_BINS - 1: 1}


def test_a_histogram_of_one_value_has_all_images() -> None:
    assert sum(activation_histogram(torch.full((5,), 2.0))[1]) == 5


def test_levels_are_the_highest_those_around_the_median_and_the_lowest() -> None:
    activations = torch.tensor([0.0, 5, 1, 4, 2, 3, 6])
    assert levels_of_activation(activations, 2) == {"high": [6, 1], "middle": [3, 5], "low": [2, 0]}
    assert levels_of_activation(activations[:4], 2) == {"high": [1], "middle": [3], "low": [0]}  # without an image in two levels
    assert levels_of_activation(activations[:2], 2) == {"high": [], "middle": [], "low": []}
