"""Batches of fine-tuning: determined by seed and epoch, every image once, shifted but not mirrored."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from iis_engine.backbones.preprocessing import ImageTransform
from iis_engine.data.datasets import read_image_folder
from iis_engine.data.decoding.images import load_image
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.finetuning import images as finetune_images
from iis_engine.finetuning.images import Images, TrainingImages, even_slices, shifted

ImageFolder = Callable[..., Path]
TRANSFORM = ImageTransform((32, 32), (32, 32))


@pytest.fixture
def dataset(image_folder: ImageFolder) -> ImageDataset:
    image_folder({"cat": 9, "dog": 8}, under="train")
    return read_image_folder(image_folder({"cat": 2, "dog": 2}, under="test"))


def batches(dataset: ImageDataset, seed: int, epoch: int, threads: int = 2) -> list[Images]:
    images = TrainingImages(dataset.train, range(17), TRANSFORM, threads)
    with images.epoch(seed, epoch, 3, 2) as steps:
        return [portion for step in steps for portion in step.portions()]


def same(one: list[Images], other: list[Images]) -> bool:
    return all(np.array_equal(a.pixels, b.pixels) and a.labels.equal(b.labels) for a, b in zip(one, other, strict=True))


def test_batches_depend_on_seed_and_epoch_alone(dataset: ImageDataset) -> None:
    assert same(batches(dataset, 1, 3), batches(dataset, 1, 3, threads=1))
    assert not same(batches(dataset, 1, 3), batches(dataset, 1, 4))
    assert not same(batches(dataset, 1, 3), batches(dataset, 2, 3))


def test_images_over_the_cache_limit_give_the_same_batches(dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = batches(dataset, 1, 3)
    monkeypatch.setattr(finetune_images, "CACHE_BYTES", 100)
    assert same(kept, batches(dataset, 1, 3))


def test_an_epoch_has_every_image_once_in_steps_of_nearly_equal_size(dataset: ImageDataset) -> None:
    images, seen = TrainingImages(dataset.train, range(17), TRANSFORM, 2), list[list[Images]]()
    with images.epoch(0, 1, 3, 2) as steps:
        for step in steps:
            seen.append(list(step.portions()))
            assert step.image_count == sum(len(portion.labels) for portion in seen[-1])
    assert [[len(portion.labels) for portion in portions] for portions in seen] == [[3, 3], [2, 3], [3, 3]]
    assert sorted(label for step in seen for portion in step for label in portion.labels.tolist()) == [0] * 9 + [1] * 8


def test_parts_are_even_and_have_one_image_only_if_all_do() -> None:
    for image_count, at_most in product(range(1, 60), range(1, 10)):
        parts = even_slices(image_count, at_most)
        sizes = [part.stop - part.start for part in parts]
        assert [row for part in parts for row in range(part.start, part.stop)] == list(range(image_count))
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= (3 if at_most == 2 else at_most)
        assert min(sizes) >= min(2, at_most, image_count)


@dataclass(frozen=True)
class Watched(ImageTransform):
    """A transform that signals the request for a ninth image, and can make the first two wait until both are being decoded."""

    asked: count[int] = field(default_factory=lambda: count(1))
    ninth: threading.Event = field(default_factory=threading.Event)
    meeting: threading.Barrier | None = None

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        number = next(self.asked)
        if number <= 2 and self.meeting is not None:
            self.meeting.wait()
        if number == 9:
            self.ninth.set()
        return super().pixels(image)


def test_a_large_step_is_decoded_portion_by_portion_while_it_is_read(dataset: ImageDataset) -> None:
    """Host memory holds about two portions, whatever the size of a step."""
    transform = Watched((32, 32), (32, 32))
    with TrainingImages(dataset.train, range(17), transform, 1).epoch(0, 1, 2, 8) as steps:
        next(next(steps).portions())
        assert not transform.ninth.wait(0.3)


def test_one_step_is_decoded_by_several_threads(dataset: ImageDataset) -> None:
    transform = Watched((32, 32), (32, 32), meeting=threading.Barrier(2, timeout=10))
    with TrainingImages(dataset.train, range(17), transform, 2).epoch(0, 1, 64, 1) as steps:
        assert next(next(steps).portions()).pixels.shape == (17, 32, 32, 3)


def test_an_interrupted_step_is_repeated_and_later_steps_are_unchanged(dataset: ImageDataset) -> None:
    undisturbed = batches(dataset, 0, 1)
    with TrainingImages(dataset.train, range(17), TRANSFORM, 2).epoch(0, 1, 3, 2) as steps:
        first = next(steps)
        broken_off = next(first.portions())
        again = list(first.portions())
        rest = [portion for step in steps for portion in step.portions()]
    assert same([broken_off], again[:1])
    assert same([*again, *rest], undisturbed)


def test_evaluation_preprocesses_images_as_scoring_does(dataset: ImageDataset) -> None:
    with TrainingImages(dataset.train, [3, 1], TRANSFORM, 1).in_order(8) as steps:
        (step,) = steps
    assert np.array_equal(step.pixels[0], TRANSFORM.pixels(load_image(dataset.train[3].path)))
    assert step.labels.tolist() == [dataset.train[3].label, dataset.train[1].label]


def test_an_image_is_shifted_by_at_most_a_sixteenth_of_its_side_and_padded_with_its_edge() -> None:
    pixels: Any = np.arange(32 * 32 * 3, dtype=np.int64).reshape(32, 32, 3)  # distinct values, more than uint8 has
    seen = set[tuple[int, int]]()
    for index in range(200):
        moved = shifted(pixels, (0, 1, index))
        down, across = divmod(int(pixels[16, 16, 0] - moved[16, 16, 0]) // 3 + 2 * 32 + 2, 32)
        seen.add((down - 2, across - 2))
        rows, columns = (np.clip(np.arange(32) - by, 0, 31) for by in (down - 2, across - 2))
        assert np.array_equal(moved, pixels[rows][:, columns])
    assert seen == {(down, across) for down in range(-2, 3) for across in range(-2, 3)}
