"""Novelty of an image: distances by hand, the p-value of a training image, and reading from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from iis_engine.explanations.novelty import MAX_ROWS, TrainingReference, evenly_spaced, read_test_row
from iis_engine.features.feature_set import FeatureSet

CORNERS = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0], [0.0, 2.0]])


def test_distances_and_p_value_are_those_counted_by_hand() -> None:
    reference = TrainingReference.of(CORNERS)
    assert reference.nearest.tolist() == pytest.approx([2.0, 1.0, 1.0, 2.0])
    novelty = reference.novelty(torch.tensor([0.0, 3.5]))
    assert (novelty.distance, novelty.training_images) == (pytest.approx(1.5), 4)
    assert novelty.typical_distance == pytest.approx(1.0)  # the lower of the two middle ones
    assert novelty.p_value == pytest.approx((1 + 2) / 5)
    assert not novelty.is_unlike


def test_an_image_far_from_all_training_images_is_unlike_them() -> None:
    features = torch.randn(300, 5, generator=torch.Generator().manual_seed(0))
    reference = TrainingReference.of(features)
    far = reference.novelty(torch.full((5,), 40.0))
    assert far.is_unlike
    assert far.p_value == pytest.approx(1 / 301)
    assert not reference.novelty(torch.zeros(5)).is_unlike
    same = reference.novelty(features[7])
    assert (same.distance, same.p_value) == (pytest.approx(0.0, abs=1e-6), 1.0)


def test_new_images_of_the_same_distribution_are_unlike_in_about_one_case_of_a_hundred() -> None:
    drawn = torch.randn(3000, 4, generator=torch.Generator().manual_seed(1))
    reference = TrainingReference.of(drawn[:1000])
    unlike = sum(reference.novelty(row).is_unlike for row in drawn[1000:])
    assert 0.004 < unlike / 2000 < 0.025


def test_rows_are_read_from_the_file_of_a_feature_set(tmp_path: Path) -> None:
    labels = torch.tensor([0, 1, 0, 1])
    FeatureSet(CORNERS, labels, CORNERS + 1, labels.clone(), ("a", "b")).save(tmp_path / "features.safetensors")
    reference = TrainingReference.read(tmp_path / "features.safetensors")
    assert reference is not None
    assert torch.equal(reference.rows, CORNERS.double())
    assert read_test_row(tmp_path / "features.safetensors", 2).tolist() == [4.0, 6.0]


def test_a_sample_of_many_rows_is_spread_over_all() -> None:
    places = evenly_spaced(10 * MAX_ROWS)
    assert (len(set(places)), places[0], places[-1]) == (MAX_ROWS, 0, 10 * MAX_ROWS - 10)
    assert evenly_spaced(3) == [0, 1, 2]
