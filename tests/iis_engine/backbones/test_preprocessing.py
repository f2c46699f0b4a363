"""Preprocessing: images of extreme aspect ratios are refused before they are resized."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from iis_engine.backbones import preprocessing
from iis_engine.backbones.preprocessing import ImageTransform, override
from iis_engine.errors import ArchitectureError, DataError
from iis_engine.specs import CropMode, Preprocessing

THIN = Image.new("RGB", (1, 20_000))


def refuse_to_resize(*_: object, **__: object) -> None:
    raise AssertionError("the image was resized")


@pytest.mark.parametrize(
    ("resize_size", "mode", "resized"),
    [
        ((256, 256), "center", "256 x 5120000"),
        ((256, 300), "center", "300 x 6000000"),
        ((256, 256), "border", "0 x 256"),
    ],
)
def test_an_image_too_thin_to_resize_is_refused_before_it_is_resized(
    resize_size: tuple[int, int], mode: CropMode, resized: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image.Image, "resize", refuse_to_resize)
    with pytest.raises(DataError, match=rf"1 x 20000 pixels becomes {resized} when.*crop it to a less extreme aspect ratio\.$") as caught:
        ImageTransform((224, 224), resize_size, crop_mode=mode).pixels(THIN)
    assert caught.value.code == "image_unreadable"


def test_squashing_accepts_any_aspect_ratio() -> None:
    transform = ImageTransform((32, 32), (32, 32), crop_mode="squash")
    assert transform.pixels(THIN).shape == (32, 32, 3)
    assert ImageTransform((32, 32), (32, 32)).uncropped_pixels(THIN).shape == (32, 32, 3)


def test_the_limit_is_the_number_of_pixels_after_resizing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocessing, "PIXEL_LIMIT", 64 * 640)
    transform = ImageTransform((32, 32), (64, 64))
    assert transform.pixels(Image.new("RGB", (3, 30))).shape == (32, 32, 3)
    with pytest.raises(DataError):
        transform.pixels(Image.new("RGB", (3, 31)))


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
def test_every_crop_mode_can_be_requested(mode: CropMode) -> None:
    own = ImageTransform((8, 8), (10, 10), crop_mode="center" if mode != "center" else "squash")
    changed = override(own, Preprocessing(crop_mode=mode))
    assert (changed.crop_mode, changed.resize_size) == (mode, (8, 8))
    assert changed.pixels(Image.new("RGB", (20, 40))).shape == (8, 8, 3)


def test_a_rectangle_can_be_requested() -> None:
    changed = override(ImageTransform((8, 8), (10, 10)), Preprocessing(input_size=(16, 8)))
    assert (changed.input_size, changed.resize_size) == ((16, 8), (20, 10))


def test_channel_order_and_value_range_of_opencv() -> None:
    red = torch.tensor([[[[255, 128, 0]]]], dtype=torch.uint8)
    opencv = override(ImageTransform((1, 1), (1, 1)), Preprocessing(channel_order="bgr", value_range=255, mean=(100, 110, 120)))
    assert opencv.normalize(red).flatten().tolist() == pytest.approx([-100, 18, 135])
    raw = override(ImageTransform((1, 1), (1, 1)), Preprocessing(value_range=255))
    assert raw.normalize(red).flatten().tolist() == pytest.approx([255, 128, 0])
    assert (opencv.describe()["channel_order"], raw.describe().get("channel_order")) == ("bgr", None)


def test_unknown_choices_are_refused() -> None:
    for wrong in (Preprocessing(crop_mode="tile"), Preprocessing(channel_order="rbg"), Preprocessing(value_range=2)):  # type: ignore[arg-type]
        with pytest.raises(ArchitectureError, match="choose one of"):
            override(ImageTransform((8, 8), (8, 8)), wrong)
