"""From an RGB image to a network's input: resize, crop, scale. Which numbers a network wants is decided where it is built."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from timm.data.transforms import CenterCropOrPad, ResizeKeepRatio, str_to_interp_mode
from torch import Tensor
from torchvision import transforms

from iis_engine.data.images import PIXEL_LIMIT
from iis_engine.errors import ArchitectureError, DataError
from iis_engine.specs import INTERPOLATIONS, Preprocessing

CropMode = Literal["center", "squash", "border"]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImageTransform:
    """How one network wants its images.

    Attributes
    ----------
    input_size : height, width in pixels
    resize_size : height, width that the image is resized to before the crop; `center` brings the short side to it and crops what
        sticks out, `squash` ignores the aspect ratio, `border` brings the long side to it and pads with `fill`
    channels : 3, or 1 for networks of grey images
    mean, std : one number per channel, for pixel values in 0..1
    """

    input_size: tuple[int, int]
    resize_size: tuple[int, int]
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    interpolation: str = "bilinear"
    crop_mode: CropMode = "center"
    fill: tuple[int, int, int] = (0, 0, 0)
    channels: int = 3

    def describe(self) -> dict[str, Any]:
        """The numbers as JSON-ready values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize and crop an RGB image: (H, W, channels) uint8.

        Raises
        ------
        DataError
            For an image so long and thin that it has more than `PIXEL_LIMIT` pixels, or none, once it is resized.
        """
        if (image.height, image.width) == self.input_size == self.resize_size:
            return self._bytes(self._in_colours(image))
        self.refuse_thin(image)
        return self._bytes(self._geometry(self._in_colours(image)))

    def whole_pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize an RGB image to the input size and crop nothing, which is how visual elements are seen (METHOD §2)."""
        return self._bytes(self._squash(self._in_colours(image)))

    def refuse_thin(self, image: Image.Image) -> None:
        """Raise the DataError of `pixels`, if it would raise one, without resizing anything."""
        if self.crop_mode == "squash":
            return
        ratios = image.height / self.resize_size[0], image.width / self.resize_size[1]
        ratio = max(ratios) if self.crop_mode == "border" else min(ratios)
        width, height = round(image.width / ratio), round(image.height / ratio)
        if not 0 < width * height <= PIXEL_LIMIT:
            raise DataError(
                f"An image of {image.width} x {image.height} pixels becomes {width} x {height} when it is resized, which is nothing or "
                f"more than the {PIXEL_LIMIT:,} pixels allowed; crop it to a less extreme shape.",
                code="image_unreadable",
            )

    def normalize(self, pixels: Tensor) -> Tensor:
        """(n, H, W, channels) uint8 -> (n, channels, H, W) float32, (value / 255 - mean) / std, on the same device."""
        scale, shift = (constant.to(pixels.device) for constant in self._affine)
        return pixels.permute(0, 3, 1, 2).to(torch.float32).mul_(scale).add_(shift)

    def _in_colours(self, image: Image.Image) -> Image.Image:
        mode = "L" if self.channels == 1 else "RGB"
        return image if image.mode == mode else image.convert(mode)

    def _bytes(self, image: Image.Image) -> NDArray[np.uint8]:
        pixels = np.asarray(image, dtype=np.uint8)
        return pixels[:, :, None] if pixels.ndim == 2 else pixels

    @cached_property
    def _affine(self) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1, 1) for values in (self.mean, self.std))
        return (1 / (255 * std)).float(), (-mean / std).float()

    @cached_property
    def _squash(self) -> Callable[[Image.Image], Image.Image]:
        return transforms.Resize(self.input_size, interpolation=self._interpolation_mode)

    @property
    def _interpolation_mode(self) -> transforms.InterpolationMode:
        return cast(transforms.InterpolationMode, str_to_interp_mode(self.interpolation))

    @cached_property
    def _geometry(self) -> Callable[[Image.Image], Image.Image]:
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
    """The size to resize to so that a crop of `input_size` keeps `crop_pct` of each side."""
    height, width = input_size
    return math.floor(height / crop_pct), math.floor(width / crop_pct)


def override(own: ImageTransform, wanted: Preprocessing) -> ImageTransform:
    """The architecture's own transform with what the request asks for put in its place.

    A new input size keeps the architecture's ratio between resize and crop. For one channel, three means are averaged.

    Raises
    ------
    ArchitectureError
        For a size, a crop share or a deviation that no image can be brought to, and for an unknown interpolation.
    """
    if wanted.input_size is not None and not 1 <= wanted.input_size <= 4096:
        raise ArchitectureError(f"input_size must lie between 1 and 4096 pixels; it is {wanted.input_size}.", param="preprocessing")
    if wanted.crop_pct is not None and not 0.1 <= wanted.crop_pct <= 1:
        raise ArchitectureError(f"crop_pct must lie between 0.1 and 1; it is {wanted.crop_pct}.", param="preprocessing")
    if wanted.interpolation is not None and wanted.interpolation not in INTERPOLATIONS:
        raise ArchitectureError(
            f"There is no interpolation {wanted.interpolation!r}; choose one of {', '.join(INTERPOLATIONS)}.", param="preprocessing"
        )
    if wanted.std is not None and min(wanted.std) <= 0:
        raise ArchitectureError(f"Every std must be above 0; they are {list(wanted.std)}.", param="preprocessing")
    size = own.input_size if wanted.input_size is None else (wanted.input_size, wanted.input_size)
    if wanted.crop_pct is not None:
        resize = scaled_size(size, wanted.crop_pct)
    else:
        resize = (round(own.resize_size[0] * size[0] / own.input_size[0]), round(own.resize_size[1] * size[1] / own.input_size[1]))
    return replace(
        own,
        input_size=size,
        resize_size=resize,
        mean=for_channels(wanted.mean or own.mean, own.channels),
        std=for_channels(wanted.std or own.std, own.channels),
        interpolation=wanted.interpolation or own.interpolation,
    )


def for_channels(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """Per-channel constants for a network of `channels` channels: as they are, or their average for grey images."""
    if channels == 1:
        return (sum(values) / len(values),)
    return tuple(float(value) for value in values)
