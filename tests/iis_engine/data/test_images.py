"""Decoding image files into upright 8-bit RGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iis_engine.data.decoding import images
from iis_engine.data.decoding.images import decode_image, load_image
from iis_engine.errors import DataError, UnreadableImage

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def test_the_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 2), BLUE)
    image.putpixel((0, 0), RED)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 270 degrees
    image.save(tmp_path / "turned.png", exif=exif)
    upright = load_image(tmp_path / "turned.png")
    assert upright.size == (2, 4)
    assert upright.getpixel((1, 0)) == RED


def test_the_exif_orientation_of_a_grey_tiff_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (4, 2), 9).save(tmp_path / "turned.tif", exif=exif)
    assert load_image(tmp_path / "turned.tif").size == (2, 4)


def test_grey_images_become_rgb(tmp_path: Path) -> None:
    Image.new("L", (3, 3), 77).save(tmp_path / "grey.png")
    assert load_image(tmp_path / "grey.png").getpixel((1, 1)) == (77, 77, 77)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_are_composed_over_white(mode: str, tmp_path: Path) -> None:
    colour = (0, 255, 0, 0) if mode == "RGBA" else (0, 0)
    image = Image.new(mode, (2, 1), colour)
    image.putpixel((1, 0), (255, 0, 0, 255) if mode == "RGBA" else (10, 255))
    image.save(tmp_path / "clear.png")
    loaded = load_image(tmp_path / "clear.png")
    assert loaded.getpixel((0, 0)) == WHITE
    assert loaded.getpixel((1, 0)) == (RED if mode == "RGBA" else (10, 10, 10))


def test_half_transparent_black_over_white_is_grey(tmp_path: Path) -> None:
    Image.new("RGBA", (1, 1), (0, 0, 0, 128)).save(tmp_path / "half.png")
    assert load_image(tmp_path / "half.png").getpixel((0, 0)) == pytest.approx((127, 127, 127), abs=1)


def test_a_transparent_palette_entry_is_composed_over_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*GREEN, *RED])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "palette.png", transparency=0)
    loaded = load_image(tmp_path / "palette.png")
    assert (loaded.getpixel((0, 0)), loaded.getpixel((1, 0))) == (WHITE, RED)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 0, 0, 255)).save(tmp_path / "print.jpg")
    loaded = load_image(tmp_path / "print.jpg")
    assert loaded.mode == "RGB"
    assert np.asarray(loaded)[4, 4].max() < 40


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_damaged_exif_block_is_no_orientation(form: str, tmp_path: Path) -> None:
    Image.new("RGB", (4, 2), BLUE).save(tmp_path / "a.image", form, exif=b"Exif\0\0 no tiff header here")
    assert load_image(tmp_path / "a.image").size == (4, 2)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_gives_the_upright_image(orientation: int, tmp_path: Path) -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    expected = {1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1], 5: pixels.T, 6: pixels.T[:, ::-1]}
    expected |= {7: pixels[::-1, ::-1].T, 8: pixels.T[::-1]}
    assert (np.asarray(load_image(tmp_path / "a.png"))[..., 0] == expected[orientation]).all()


def test_avif_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), RED).save(tmp_path / "a.avif", quality=100)
    assert np.abs(np.asarray(load_image(tmp_path / "a.avif")).astype(int) - np.array(RED)).max() < 8


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\0\0\0\x0cjP  \r\n", "JPEG 2000"),
        (b"\xff\x0a\x10", "JPEG XL"),
        (b"<svg xmlns=", "SVG"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
    ],
)
def test_a_file_of_an_unread_format_is_named_by_its_content(start: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(start + bytes(300))
    with pytest.raises(UnreadableImage, match=rf"a\.jpg is not an image of a supported format .* but a {name} file") as caught:
        load_image(tmp_path / "a.jpg")
    assert caught.value.code == "image_unreadable"


@pytest.mark.parametrize(("highest", "bits"), [(0, 8), (255, 8), (256, 9), (4095, 12), (65535, 16)])
def test_sixteen_bit_grey_values_are_scaled_by_the_bits_in_use(highest: int, bits: int, tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, highest // 2, highest]], dtype=np.uint16)).save(tmp_path / "a.png")
    decoded = decode_image(tmp_path / "a.png")
    assert decoded.grey_bits == bits
    assert np.asarray(decoded.image)[0, :, 0].tolist() == [0, (highest // 2) >> (bits - 8), highest >> (bits - 8)]


def test_the_bits_of_the_data_set_replace_the_images_own(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 800]], dtype=np.uint16)).save(tmp_path / "dim.png")
    assert np.asarray(load_image(tmp_path / "dim.png", 12))[0, :, 0].tolist() == [0, 50]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_values_are_scaled_and_not_clipped(suffix: str, tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
    loaded = np.asarray(load_image(tmp_path / f"deep.{suffix}"))
    assert loaded[0, :, 0].tolist() == [0, 0, 1, 128, 255]
    assert (loaded[..., 0] == loaded[..., 1]).all()


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(DataError, match=r"float\.tif has floating point pixels.*8 or 16 bits"):
        load_image(tmp_path / "float.tif")


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "large.png")
    monkeypatch.setattr(images, "PIXEL_LIMIT", 399)
    with pytest.raises(DataError, match=r"large\.png has 20 x 20 pixels"):
        load_image(tmp_path / "large.png")


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (300, 300)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(DataError, match=r"bomb\.png has more than"):
        load_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "bmp"])
def test_a_truncated_file_is_refused_by_name(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"cut.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"cut\.{suffix} cannot be decoded"):
        load_image(path)


def test_formats_that_need_external_programs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "script.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    with pytest.raises(DataError, match="is not an image"):
        load_image(tmp_path / "script.jpg")
