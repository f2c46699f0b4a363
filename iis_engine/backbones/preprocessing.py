"""Preprocess RGB images for a network: resize, crop, normalise; apply a request's overrides."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from timm.data.transforms import CenterCropOrPad, ResizeKeepRatio, str_to_interp_mode
from torch import Tensor
from torchvision import transforms

from iis_engine.data.decoding.images import PIXEL_LIMIT
from iis_engine.errors import ArchitectureError, DataError
from iis_engine.specs import CHANNEL_ORDERS, CROP_MODES, INTERPOLATIONS, VALUE_RANGES, ChannelOrder, CropMode, Preprocessing

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImageTransform:
    """Preprocessing of one network.

    Attributes
    ----------
    input_size : height, width in pixels
    resize_size : height, width of the resized image before the crop; `center` fits the short side to it and crops the centre, `squash`
        ignores the aspect ratio, `border` fits the long side to it and pads with `fill`
    mean, std : one number per channel in the network's order, for pixel values in 0..`value_range`
    interpolation : bilinear, bicubic or nearest
    fill : RGB colour of the padding, 0..255
    channels : 3, or 1 for networks of grey images
    channel_order : order of the network's input channels, rgb or bgr
    value_range : largest value of a pixel before mean and std are applied, 1 or 255
    """

    input_size: tuple[int, int]
    resize_size: tuple[int, int]
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    interpolation: str = "bilinear"
    crop_mode: CropMode = "center"
    fill: tuple[int, int, int] = (0, 0, 0)
    channels: int = 3
    channel_order: ChannelOrder = "rgb"
    value_range: int = 1

    def describe(self) -> dict[str, Any]:
        """Return the attributes as JSON-ready values; channel order and value range only where they are not rgb and 1."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        usual = {"channel_order": "rgb", "value_range": 1}
        return {name: value for name, value in values.items() if usual.get(name) != value}

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize and crop an RGB image -> (H, W, channels) uint8.

        Raises
        ------
        DataError
            For an extreme aspect ratio: the resized image would have more than `PIXEL_LIMIT` pixels, or none.
        """
        if (image.height, image.width) == self.input_size == self.resize_size:
            return self._to_array(self._to_channels(image))
        self.require_resizable(image)
        return self._to_array(self._resize_and_crop(self._to_channels(image)))

    def uncropped_pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize an RGB image to the input size without cropping -> (H, W, channels) uint8, as for visual elements (METHOD §2)."""
        return self._to_array(self._squash(self._to_channels(image)))

    def require_resizable(self, image: Image.Image) -> None:
        """Raise the DataError of `pixels` without resizing the image."""
        if self.crop_mode == "squash":
            return
        ratios = image.height / self.resize_size[0], image.width / self.resize_size[1]
        ratio = max(ratios) if self.crop_mode == "border" else min(ratios)
        width, height = round(image.width / ratio), round(image.height / ratio)
        if not 0 < width * height <= PIXEL_LIMIT:
            raise DataError(
                f"An image of {image.width} x {image.height} pixels becomes {width} x {height} when it is resized, which is empty or "
                f"more than the {PIXEL_LIMIT:,} pixels allowed; crop it to a less extreme aspect ratio.",
                code="image_unreadable",
            )

    def normalize(self, pixels: Tensor) -> Tensor:
        """Compute (value / 255 - mean) / std: (n, H, W, channels) uint8 -> (n, channels, H, W) float32 on the same device.

        With a value range of 255, (value - mean) / std.
        """
        scale, shift = (constant.to(pixels.device) for constant in self._affine)
        if self.channel_order == "bgr":
            pixels = pixels.flip(3)
        return pixels.permute(0, 3, 1, 2).to(torch.float32).mul_(scale).add_(shift)

    def denormalize(self, images: Tensor) -> Tensor:
        """Invert `normalize` up to rounding: (n, channels, H, W) float32 -> (n, H, W, channels) uint8; values out of range are clipped."""
        scale, shift = (constant.to(images.device) for constant in self._affine)
        pixels = ((images - shift) / scale).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
        return pixels.flip(3) if self.channel_order == "bgr" else pixels

    def _to_channels(self, image: Image.Image) -> Image.Image:
        mode = "L" if self.channels == 1 else "RGB"
        return image if image.mode == mode else image.convert(mode)

    def _to_array(self, image: Image.Image) -> NDArray[np.uint8]:
        pixels = np.asarray(image, dtype=np.uint8)
        return pixels[:, :, None] if pixels.ndim == 2 else pixels

    @cached_property
    def _affine(self) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1, 1) for values in (self.mean, self.std))
        return (self.value_range / (255 * std)).float(), (-mean / std).float()

    @cached_property
    def _squash(self) -> Callable[[Image.Image], Image.Image]:
        return transforms.Resize(self.input_size, interpolation=self._interpolation_mode)

    @property
    def _interpolation_mode(self) -> transforms.InterpolationMode:
        return cast(transforms.InterpolationMode, str_to_interp_mode(self.interpolation))

    @cached_property
    def _resize_and_crop(self) -> Callable[[Image.Image], Image.Image]:
        if self.crop_mode == "border":
            fill = self.fill[0] if self.channels == 1 else self.fill
            resize = ResizeKeepRatio(list(self.resize_size), interpolation=self.interpolation, longest=1.0)
            return transforms.Compose([resize, CenterCropOrPad(list(self.input_size), fill=fill)])
        if self.crop_mode == "squash":
            resize = transforms.Resize(self.resize_size, interpolation=self._interpolation_mode)
        elif self.resize_size[0] == self.resize_size[1]:
            resize = transforms.Resize(self.resize_size[0], interpolation=self._interpolation_mode)
        else:
            resize = ResizeKeepRatio(list(self.resize_size), interpolation=self.interpolation)
        return transforms.Compose([resize, transforms.CenterCrop(self.input_size)])


def scaled_size(input_size: tuple[int, int], crop_pct: float) -> tuple[int, int]:
    """Return the resize size (height, width) at which a crop of `input_size` keeps `crop_pct` of each side."""
    height, width = input_size
    return math.floor(height / crop_pct), math.floor(width / crop_pct)


def override(own: ImageTransform, requested: Preprocessing) -> ImageTransform:
    """Return the architecture's own transform with the requested values in place of its own.

    A new input size keeps the architecture's ratio between resize and crop, unless the crop mode is another one. For one channel, three
    means are averaged.

    Raises
    ------
    ArchitectureError
        For an input size, crop share or deviation out of range, and for an unknown interpolation.
    """
    size = own.input_size if requested.input_size is None else both_sides(requested.input_size)
    if requested.input_size is not None and not 1 <= min(size) <= max(size) <= 4096:
        raise ArchitectureError(f"input_size must lie between 1 and 4096 pixels; it is {requested.input_size}.", param="preprocessing")
    if requested.crop_pct is not None and not 0.1 <= requested.crop_pct <= 1:
        raise ArchitectureError(f"crop_pct must lie between 0.1 and 1; it is {requested.crop_pct}.", param="preprocessing")
    for value, known, noun in (
        (requested.interpolation, INTERPOLATIONS, "an interpolation"),
        (requested.crop_mode, CROP_MODES, "a crop mode"),
        (requested.channel_order, CHANNEL_ORDERS, "a channel order"),
        (requested.value_range, VALUE_RANGES, "a value range"),
    ):
        if value is not None and value not in known:
            raise ArchitectureError(f"{value!r} is not {noun}; choose one of {', '.join(map(str, known))}.", param="preprocessing")
    if requested.std is not None and min(requested.std) <= 0:
        raise ArchitectureError(f"Every std must be above 0; they are {list(requested.std)}.", param="preprocessing")
    if requested.value_range == 255:
        own = replace(own, mean=(0.0,) * own.channels, std=(1.0,) * own.channels)
    if requested.crop_pct is not None:
        resize = scaled_size(size, requested.crop_pct)
    elif requested.crop_mode is not None and requested.crop_mode != own.crop_mode:
        resize = size  # a share of the crop that was chosen for another mode has no meaning in this one
    else:
        resize = (round(own.resize_size[0] * size[0] / own.input_size[0]), round(own.resize_size[1] * size[1] / own.input_size[1]))
    return replace(
        own,
        input_size=size,
        resize_size=resize,
        mean=for_channels(requested.mean or own.mean, own.channels),
        std=for_channels(requested.std or own.std, own.channels),
        interpolation=requested.interpolation or own.interpolation,
        crop_mode=requested.crop_mode or own.crop_mode,
        channel_order=requested.channel_order or own.channel_order,
        value_range=requested.value_range or own.value_range,
    )


def both_sides(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return height and width of an input size that may be given as one side of a square."""
    return (size, size) if isinstance(size, int) else size


def for_channels(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """Return one constant per channel: the values as floats, or their mean for a network of one channel."""
    if channels == 1:
        return (sum(values) / len(values),)
    return tuple(float(value) for value in values)
