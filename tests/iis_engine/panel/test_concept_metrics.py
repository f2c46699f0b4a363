"""MonoScore and class purity: closed forms, the definition as a double sum, and planted concepts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from iis_engine.panel.concept_metrics import ConceptTable, centred_units, class_purity, mono_scores, top_images
from iis_engine.panel.geometry import NearestConcepts


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_mono_score_is_the_weighted_mean_of_the_pairwise_cosines() -> None:
    activations, units = torch.randn(40, 3, generator=generator(0)), normalize(torch.randn(40, 5, generator=generator(1)), dim=1)
    a, p = activations.double().numpy(), units.double().numpy()
    expected: list[float] = []
    for column in a.T:
        scaled = (column - column.min()) / (column.max() - column.min())
        pairs = [(scaled[n] * scaled[m], float(p[n] @ p[m])) for n in range(40) for m in range(40) if n != m]
        expected.append(sum(weight * cosine for weight, cosine in pairs) / sum(weight for weight, _ in pairs))

    assert mono_scores(activations, units).tolist() == pytest.approx(expected, abs=1e-6)


def test_mono_score_is_one_for_equal_images_and_minus_one_for_two_opposite_ones() -> None:
    active = torch.tensor([[1.0], [1.0], [0.0]])
    equal, opposite = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, -1.0], [1.0, 0.0]])

    assert mono_scores(active, equal).item() == pytest.approx(1)
    assert mono_scores(active, opposite).item() == pytest.approx(-1)


def test_mono_score_is_undefined_for_a_constant_concept_and_for_one_that_a_single_image_activates() -> None:
    activations = torch.tensor([[2.0, 1.0], [2.0, 0.0], [2.0, 0.0]])
    assert all(math.isnan(value) for value in mono_scores(activations, torch.eye(3)).tolist())


def test_mono_score_does_not_depend_on_scale_and_offset_of_the_activations_or_on_the_order_of_images() -> None:
    activations, units = torch.randn(9000, 2, generator=generator(2)), normalize(torch.randn(9000, 4, generator=generator(3)), dim=1)
    order = torch.randperm(9000, generator=generator(4))
    plain = mono_scores(activations, units).tolist()

    assert mono_scores(activations * 7 - 3, units).tolist() == pytest.approx(plain, abs=1e-6)
    assert mono_scores(activations[order], units[order]).tolist() == pytest.approx(plain, abs=1e-12)


def test_image_embeddings_do_not_change_with_a_constant_added_to_the_representation() -> None:
    X = torch.randn(30, 6, generator=generator(5))
    mean = X.double().mean(dim=0)
    torch.testing.assert_close(centred_units(X, mean), centred_units(X.double() + 1e4, mean + 1e4), atol=1e-6, rtol=0)


def test_purity_is_the_share_of_the_most_frequent_class_among_the_top_images() -> None:
    activations = torch.tensor([[9.0, 0.0], [8.0, 1.0], [7.0, 2.0], [6.0, 3.0], [0.0, 9.0], [0.0, 8.0]])
    y = torch.tensor([2, 2, 2, 0, 1, 1])
    purity, top_class = class_purity(activations, y, 3, top=4)

    assert purity.tolist() == pytest.approx([0.75, 0.5])
    assert top_class.tolist() == [2, 1]


def test_a_constant_concept_is_no_purer_than_the_most_frequent_class() -> None:
    purity, top_class = class_purity(torch.ones(10, 1), torch.tensor([0] * 3 + [1] * 7), 2, top=2)
    assert (purity.item(), top_class.item()) == (pytest.approx(0.7), 1)


def test_purity_and_mono_score_rise_with_the_share_of_the_class_in_a_planted_concept() -> None:
    y = torch.arange(400) % 4
    units = normalize(torch.eye(8)[y] + 0.1 * torch.randn(400, 8, generator=generator(7)), dim=1)
    noise = torch.randn(400, 3, generator=generator(8))
    activations = torch.tensor([8.0, 1.0, 0.0]) * (y == 1).float().unsqueeze(1) + noise
    purity, scores = class_purity(activations, y, 4)[0].tolist(), mono_scores(activations, units).tolist()

    assert purity[0] == 1 > purity[1] > purity[2]
    assert scores[0] > scores[1] > scores[2]


def test_the_number_of_top_images_is_bounded_by_the_size_of_a_class() -> None:
    assert [top_images(*sizes) for sizes in ((10_000, 10), (100, 10), (10, 10))] == [20, 10, 2]


def test_an_undefined_score_is_none_in_the_record_of_a_concept() -> None:
    one = torch.zeros(1, dtype=torch.int64)
    nearest = NearestConcepts(one, torch.tensor([0.25], dtype=torch.float64), one)
    table = ConceptTable(torch.tensor([np.nan]), torch.tensor([0.5]), one, torch.tensor([0.125]), nearest)
    record = table.rows(("cat",))[0]

    assert (record.mono_score, record.class_purity, record.top_class, record.firing_rate) == (None, 0.5, "cat", 0.125)
    assert (record.concept, record.nearest_cosine, record.near_duplicates) == (0, 0.25, 0)
