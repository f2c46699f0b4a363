"""Visual elements: source images chosen by content, deterministic cuts, and crops found by reference."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iis_engine.data.datasets import read_image_folder
from iis_engine.data.images import load_image
from iis_engine.errors import DataError
from iis_engine.features.elements import FILL_GREY, choose_source_images, cut_elements, element_crops, segment_masks
from iis_engine.features.feature_set import ElementRef
from iis_engine.specs import ElementKind, ElementSpec

ImageFolder = Callable[..., Path]
RED, GREEN, BLUE, YELLOW = (220, 20, 20), (20, 200, 20), (20, 20, 220), (220, 220, 20)


@pytest.fixture
def quarters() -> Image.Image:
    """Four quarters, each of one colour."""
    image = Image.new("RGB", (120, 80), RED)
    image.paste(GREEN, (60, 0, 120, 40))
    image.paste(BLUE, (0, 40, 60, 80))
    image.paste(YELLOW, (60, 40, 120, 80))
    return image


def test_patches_tile_the_image_without_gap_or_overlap() -> None:
    pixels = np.arange(45 * 31 * 3, dtype=np.uint32).astype(np.uint8).reshape(31, 45, 3)
    elements = cut_elements(Image.fromarray(pixels), "patches")
    assert len(elements) == 16
    covered = np.zeros((31, 45), int)
    for element in elements:
        left, top, right, bottom = element.box
        covered[top:bottom, left:right] += 1
        assert (np.asarray(element.crop) == pixels[top:bottom, left:right]).all()
    assert (covered == 1).all()


def test_an_image_smaller_than_the_grid_has_fewer_patches() -> None:
    assert len(cut_elements(Image.new("RGB", (2, 3)), "patches")) == 6


def test_segments_are_few_large_and_distinct(quarters: Image.Image) -> None:
    masks = segment_masks(quarters)
    assert 5 <= len(masks) <= 15
    for index, mask in enumerate(masks):
        assert mask.mean() >= 0.001
        for earlier in masks[:index]:
            assert (mask & earlier).sum() / (mask | earlier).sum() <= 0.5


def test_a_segments_crop_is_grey_outside_the_segment_and_its_box_is_tight(quarters: Image.Image) -> None:
    for element in cut_elements(quarters, "segments"):
        left, top, right, bottom = element.box
        crop = np.asarray(element.crop)
        assert crop.shape == (bottom - top, right - left, 3)
        grey = (crop == FILL_GREY).all(2)
        original = (crop == np.asarray(quarters.crop(element.box))).all(2)
        assert (grey | original).all()
        inside = ~grey
        assert inside.any(0)[[0, -1]].all()
        assert inside.any(1)[[0, -1]].all()


def test_large_images_are_segmented_at_reduced_and_cropped_at_full_size(quarters: Image.Image) -> None:
    large = quarters.resize((1200, 800), Image.Resampling.NEAREST)
    assert max(segment_masks(large)[0].shape) == 320
    boxes = np.array([element.box for element in cut_elements(large, "segments")])
    assert boxes[:, 2].max() == 1200
    assert boxes[:, 3].max() == 800


@pytest.mark.parametrize("image", [Image.new("RGB", (1, 1)), Image.new("RGB", (8, 8), RED), Image.new("L", (32, 5)).convert("RGB")])
def test_tiny_and_uniform_images_have_at_least_one_segment(image: Image.Image) -> None:
    assert len(cut_elements(image, "segments")) >= 1


@pytest.mark.parametrize(("kind", "name"), [("patches", "patch"), ("segments", "segment")])
def test_an_element_is_cut_again_from_its_reference(kind: ElementKind, name: str, quarters: Image.Image) -> None:
    for element in cut_elements(quarters, kind):
        again = element_crops(quarters, [ElementRef(0, element.box, name)])[0]
        assert np.array_equal(np.asarray(again), np.asarray(element.crop))


def test_a_segment_is_not_found_in_another_image(quarters: Image.Image) -> None:
    with pytest.raises(DataError, match="send the image that the element was cut from"):
        element_crops(quarters, [ElementRef(0, (1, 2, 3, 4), "segment")])


def test_source_images_per_class_are_the_requested_number_or_all(image_folder: ImageFolder) -> None:
    image_folder({"cat": 12, "dog": 3}, under="train")
    dataset = read_image_folder(image_folder({"cat": 1, "dog": 1}, under="test"))
    chosen = choose_source_images(dataset, ElementSpec(images_per_class=5))
    assert Counter(dataset.train[index].label for index in chosen) == {0: 5, 1: 3}
    assert len(set(chosen)) == 8


def test_source_images_depend_on_seed_and_content_and_not_on_names(image_folder: ImageFolder) -> None:
    image_folder({"cat": 12, "dog": 12}, under="train")
    root = image_folder({"cat": 1, "dog": 1}, under="test")
    before = read_image_folder(root)
    names = [str(index) for index in range(12)]
    random.Random(0).shuffle(names)
    for name, file in zip(names, sorted((root / "train" / "cat").iterdir()), strict=True):
        shutil.move(file, file.with_name(f"renamed-{name}.png"))
    after = read_image_folder(root)
    spec = ElementSpec(images_per_class=4, seed=2)
    assert choose_source_images(before, spec) == choose_source_images(after, spec)
    assert choose_source_images(before, spec) != choose_source_images(before, ElementSpec(images_per_class=4, seed=3))


def test_zero_images_per_class_are_refused(image_folder: ImageFolder) -> None:
    dataset = read_image_folder(image_folder({"cat": 3, "dog": 3}))
    with pytest.raises(DataError, match="images_per_class must be at least 1"):
        choose_source_images(dataset, ElementSpec(images_per_class=0))


def test_real_flowers_have_segments_at_every_level(shared_data: Path) -> None:
    path = sorted((shared_data / "flowers17" / "train" / "Sunflower").iterdir())[0]
    assert 10 <= len(cut_elements(load_image(path), "segments")) <= 15
