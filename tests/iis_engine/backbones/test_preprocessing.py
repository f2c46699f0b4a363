"""Preprocessing: images of extreme aspect ratios are refused before they are resized."""

from __future__ import annotations

import pytest
from PIL import Image

from iis_engine.backbones import preprocessing
from iis_engine.backbones.preprocessing import CropMode, ImageTransform
from iis_engine.errors import DataError

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
