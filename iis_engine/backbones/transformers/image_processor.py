"""Preprocessing of a transformers network from its image processor's settings; nothing is run but our own transforms."""

from __future__ import annotations

from typing import Any, cast

from iis_engine.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD, ImageTransform, for_channels
from iis_engine.backbones.transformers.families import Family
from iis_engine.errors import CheckpointError

_CONSTANTS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}
_RESAMPLING = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""Names of Pillow's numbers for interpolation."""
_SIDE_MAX = 4096
_CONVNEXT_UNCROPPED = 384
"""ConvNeXt's processor crops below this size, and ignores the aspect ratio from it on."""


def read_transform(processor: dict[str, Any] | None, family: Family, image_size: int, channels: int) -> tuple[ImageTransform, list[str]]:
    """Return the transform and notes on what the settings do not state.

    Parameters
    ----------
    processor : settings of the image processor, or None
    image_size : side of the network's input, used where the settings name none

    Raises
    ------
    CheckpointError
        For settings that are not numbers in their range.
    """
    mean, std = (for_channels(values, channels) for values in _CONSTANTS[family.mean])
    if processor is None:
        side = (image_size, image_size)
        note = (
            f"The archive has no preprocessor_config.json: mean {_listed(mean)}, std {_listed(std)} and "
            f"{'the whole image' if family.squash else 'a centre crop'} of {image_size} pixels were assumed."
        )
        return ImageTransform(side, side, mean, std, "bicubic", "squash" if family.squash else "center", channels=channels), [note]
    try:
        return _read(processor, family, image_size, channels, (mean, std)), []
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"preprocessor_config.json has unknown settings ({error}); leave it out, and give the preprocessing with the model."
        ) from error


def _read(
    processor: dict[str, Any], family: Family, image_size: int, channels: int, constants: tuple[tuple[float, ...], tuple[float, ...]]
) -> ImageTransform:
    size = processor.get("size") if processor.get("do_resize", True) else image_size
    resize, squash = _sides(image_size if size is None else size, square=family.squash)
    if processor.get("do_center_crop", False) and "crop_size" in processor:
        target, _ = _sides(processor["crop_size"], square=True)
    else:
        target = resize
    if "crop_pct" in processor:  # ConvNeXt's processor
        side = resize[0]
        squash = side >= _CONVNEXT_UNCROPPED
        short = int(side / float(processor["crop_pct"]))
        resize = resize if squash else (short, short)
    if not processor.get("do_normalize", True):
        mean, std = (0.0,) * channels, (1.0,) * channels
    else:
        mean = for_channels(processor.get("image_mean") or constants[0], channels)
        std = for_channels(processor.get("image_std") or constants[1], channels)
    if min(std) <= 0:
        raise ValueError("image_std must be above 0")
    scaled = processor.get("do_rescale", True)
    factor = float(processor.get("rescale_factor", 1 / 255)) if scaled else 1.0
    if round(factor * 255, 3) not in (1, 255):
        raise ValueError(f"rescale_factor is {factor:g}")
    return ImageTransform(
        input_size=target,
        resize_size=resize,
        mean=mean,
        std=std,
        interpolation=_RESAMPLING[int(processor.get("resample", 3))],
        crop_mode="squash" if squash else "center",
        channels=channels,
        channel_order="bgr" if processor.get("do_flip_channel_order", False) else "rgb",
        value_range=1 if round(factor * 255, 3) == 1 else 255,
    )


def _sides(size: Any, *, square: bool) -> tuple[tuple[int, int], bool]:
    """Return height and width of a size in any of the library's forms, and whether it ignores the aspect ratio."""
    if isinstance(size, dict):
        entries = cast("dict[str, Any]", size)
        if "shortest_edge" in entries:
            sides, ignores = (entries["shortest_edge"],) * 2, False
        else:
            sides, ignores = (entries["height"], entries["width"]), True
    else:
        sides, ignores = (size, size), square
    height, width = (int(side) for side in sides)
    if not 1 <= min(height, width) <= max(height, width) <= _SIDE_MAX:
        raise ValueError(f"a size is {height} x {width}")
    return (height, width), ignores


def _listed(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
