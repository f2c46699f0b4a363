"""The batches of fine-tuning: decided by seed and epoch alone, every image once, moved a little and never mirrored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from iis_engine import finetune_images
from iis_engine.datasets import ImageDataset, read_image_folder
from iis_engine.finetune_images import Step, TrainingImages, shifted, step_count
from iis_engine.images import load_image
from iis_engine.preprocessing import ImageTransform

ImageFolder = Callable[..., Path]
TRANSFORM = ImageTransform((32, 32), (32, 32))


@pytest.fixture
def dataset(image_folder: ImageFolder) -> ImageDataset:
    image_folder({"cat": 9, "dog": 8}, under="train")
    return read_image_folder(image_folder({"cat": 2, "dog": 2}, under="test"))


def batches(dataset: ImageDataset, seed: int, epoch: int, threads: int = 2) -> list[Step]:
    images = TrainingImages(dataset.train, range(17), TRANSFORM, threads)
    with images.epoch(seed, epoch, 6) as steps:
        return list(steps)


def same(one: list[Step], other: list[Step]) -> bool:
    return all(np.array_equal(a.pixels, b.pixels) and a.labels.equal(b.labels) for a, b in zip(one, other, strict=True))


def test_seed_and_epoch_alone_decide_the_batches(dataset: ImageDataset) -> None:
    assert same(batches(dataset, 1, 3), batches(dataset, 1, 3, threads=1))
    assert not same(batches(dataset, 1, 3), batches(dataset, 1, 4))
    assert not same(batches(dataset, 1, 3), batches(dataset, 2, 3))


def test_images_too_many_to_be_kept_are_decoded_to_the_same_batches(dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = batches(dataset, 1, 3)
    monkeypatch.setattr(finetune_images, "CACHE_BYTES", 100)
    assert same(kept, batches(dataset, 1, 3))


def test_an_epoch_has_every_image_once_in_steps_of_nearly_equal_size(dataset: ImageDataset) -> None:
    steps = batches(dataset, 0, 1)
    assert len(steps) == step_count(17, 6) == 3
    assert sorted(len(step.labels) for step in steps) == [5, 6, 6]
    assert sorted(label for step in steps for label in step.labels.tolist()) == sorted(image.label for image in dataset.train)


def test_evaluation_sees_the_images_as_scoring_does(dataset: ImageDataset) -> None:
    with TrainingImages(dataset.train, [3, 1], TRANSFORM, 1).in_order(8) as steps:
        (step,) = steps
    assert np.array_equal(step.pixels[0], TRANSFORM.pixels(load_image(dataset.train[3].path)))
    assert step.labels.tolist() == [dataset.train[3].label, dataset.train[1].label]


def test_an_image_is_moved_by_a_sixteenth_of_its_side_at_most_and_its_edge_fills_the_rest() -> None:
    pixels = np.arange(32 * 32 * 3, dtype=np.int64).reshape(32, 32, 3)
    seen = set[tuple[int, int]]()
    for index in range(200):
        moved = shifted(pixels, (0, 1, index))
        down, across = divmod(int(pixels[16, 16, 0] - moved[16, 16, 0]) // 3 + 2 * 32 + 2, 32)
        seen.add((down - 2, across - 2))
        rows, columns = (np.clip(np.arange(32) - by, 0, 31) for by in (down - 2, across - 2))
        assert np.array_equal(moved, pixels[rows][:, columns])
    assert seen == {(down, across) for down in range(-2, 3) for across in range(-2, 3)}
