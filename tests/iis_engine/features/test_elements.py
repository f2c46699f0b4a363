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
from iis_engine.data.decoding.images import load_image
from iis_engine.errors import DataError, SettingError
from iis_engine.features.elements import FILL_GREY, choose_source_images, cut_elements, cut_segments, element_crops, segment_masks
from iis_engine.features.feature_set import Box, ElementRef
from iis_engine.specs import SEGMENT_LEVELS, SEGMENTS_PER_LEVEL, ElementKind, ElementSpec

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
    elements = cut_elements(Image.fromarray(pixels), ElementSpec(scales=(4,)))
    assert len(elements) == 16
    covered = np.zeros((31, 45), int)
    for element in elements:
        left, top, right, bottom = element.box
        covered[top:bottom, left:right] += 1
        assert (np.asarray(element.crop) == pixels[top:bottom, left:right]).all()
    assert (covered == 1).all()


def test_an_image_smaller_than_the_grid_has_fewer_patches() -> None:
    assert len(cut_elements(Image.new("RGB", (2, 3)), ElementSpec(scales=(4,)))) == 6


def test_each_scale_cuts_its_grid_row_by_row_and_the_coarsest_grid_is_first(quarters: Image.Image) -> None:
    elements = cut_elements(quarters, ElementSpec(scales=(2, 1)))
    assert [element.box for element in elements] == [
        (0, 0, 120, 80),
        (0, 0, 60, 40),
        (60, 0, 120, 40),
        (0, 40, 60, 80),
        (60, 40, 120, 80),
    ]
    assert np.array_equal(np.asarray(elements[0].crop), np.asarray(quarters))
    colours = [element.crop.getcolors() for element in elements[1:]]
    assert colours == [[(60 * 40, colour)] for colour in (RED, GREEN, BLUE, YELLOW)]


@pytest.mark.parametrize(
    ("scale", "last"),
    [(1, (0, 0, 120, 80)), (2, (60, 40, 120, 80)), (3, (80, 53, 120, 80)), (4, (90, 60, 120, 80)), (8, (105, 70, 120, 80))],
)
def test_a_scale_is_the_number_of_patches_per_side(scale: int, last: Box, quarters: Image.Image) -> None:
    boxes = [element.box for element in cut_elements(quarters, ElementSpec(scales=(scale,)))]
    assert len(boxes) == scale**2
    assert boxes[-1] == last


def test_a_mixture_of_grids_and_segments_has_the_elements_of_both(quarters: Image.Image) -> None:
    spec = ElementSpec("patches_and_segments", scales=(1, 3))
    mixed = cut_elements(quarters, spec)
    segments = cut_segments(quarters)
    assert [element.kind for element in mixed] == ["patch"] * 10 + ["segment"] * len(segments)
    assert [element.box for element in mixed[10:]] == [element.box for element in segments]
    assert spec.elements_per_image_max == 10 + len(SEGMENT_LEVELS) * SEGMENTS_PER_LEVEL


@pytest.mark.parametrize(
    ("spec", "class_count", "images"),
    [
        (ElementSpec(), 10, 100),
        (ElementSpec(), 3, 334),
        (ElementSpec(), 1000, 10),
        (ElementSpec(scales=(4,)), 10, 10),
        (ElementSpec(scales=(4,)), 2, 32),
        (ElementSpec(images_per_class=7), 2, 7),
    ],
)
def test_images_of_each_class_give_a_thousand_elements_by_default(spec: ElementSpec, class_count: int, images: int) -> None:
    assert spec.images_of_each_class(class_count) == images


def test_scales_are_stored_in_rising_order_and_are_empty_for_segments_alone() -> None:
    assert ElementSpec(scales=(4, 1, 2)) == ElementSpec(scales=(1, 2, 4))
    assert ElementSpec("segments") == ElementSpec("segments", scales=())
    assert ElementSpec("segments").scales == ()


@pytest.mark.parametrize("scales", [(), (0,), (9,), (2, 2), (1.5,)])
def test_scales_that_are_no_grids_are_refused(scales: tuple[int, ...]) -> None:
    with pytest.raises(SettingError, match=r"different whole numbers from 1 \(the whole image\) to 8") as caught:
        ElementSpec(scales=scales)
    assert caught.value.param == "elements.scales"


def test_segments_alone_take_no_scales() -> None:
    with pytest.raises(SettingError, match="patches_and_segments"):
        ElementSpec("segments", scales=(2,))


def test_segments_are_few_large_and_distinct(quarters: Image.Image) -> None:
    masks = segment_masks(quarters)
    assert 5 <= len(masks) <= 15
    for index, mask in enumerate(masks):
        assert mask.mean() >= 0.001
        for earlier in masks[:index]:
            assert (mask & earlier).sum() / (mask | earlier).sum() <= 0.5


def test_a_segments_crop_is_grey_outside_the_segment_and_its_box_is_tight(quarters: Image.Image) -> None:
    for element in cut_segments(quarters):
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
    boxes = np.array([element.box for element in cut_segments(large)])
    assert boxes[:, 2].max() == 1200
    assert boxes[:, 3].max() == 800


@pytest.mark.parametrize("image", [Image.new("RGB", (1, 1)), Image.new("RGB", (8, 8), RED), Image.new("L", (32, 5)).convert("RGB")])
def test_tiny_and_uniform_images_have_at_least_one_segment(image: Image.Image) -> None:
    assert len(cut_segments(image)) >= 1


@pytest.mark.parametrize("kind", ["patches", "segments", "patches_and_segments"])
def test_an_element_is_cut_again_from_its_reference(kind: ElementKind, quarters: Image.Image) -> None:
    for element in cut_elements(quarters, ElementSpec(kind)):
        again = element_crops(quarters, [ElementRef(0, element.box, element.kind)])[0]
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
    assert 10 <= len(cut_segments(load_image(path))) <= 15
