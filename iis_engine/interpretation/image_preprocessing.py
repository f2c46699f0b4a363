"""Turn images of any source into the network's input, and tensors back into pictures from which elements are cut and crops shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.preprocessing import ImageTransform, both_sides, override
from iis_engine.data.decoding.images import load_image
from iis_engine.errors import DataError, SettingError
from iis_engine.interpretation.labelled_images import Picture
from iis_engine.specs import Preprocessing

PreprocessFunction = Callable[[Any], Tensor]


@dataclass(frozen=True)
class ImagePreprocessing:
    """Preprocessing of one network's images.

    Attributes
    ----------
    transform : resizing and normalisation; where a function or the source preprocesses, the normalisation that turns tensors into pictures
    function : from an image to a tensor (channels, H, W); None for `transform` itself, and for tensors that are preprocessed already
    notes : what was assumed, one sentence each
    """

    transform: ImageTransform
    function: PreprocessFunction | None = None
    notes: tuple[str, ...] = ()

    def network_input(self, image: Picture) -> Tensor:
        """Preprocess one image -> (channels, H, W) float32.

        Raises
        ------
        DataError
            For a tensor of another shape than the first image's, or with values that are not finite.
        """
        if self.function is None and isinstance(image, Image.Image):
            return self.transform.normalize(torch.tensor(self.transform.pixels(image.convert("RGB")))[None])[0]
        tensor = preprocessed_tensor(image, self.function)
        expected = (self.transform.channels, *self.transform.input_size)
        if tensor.shape != expected:
            raise DataError(
                f"A preprocessed image has shape {tuple(tensor.shape)}, the first one {expected}; resize and crop all images to one size."
            )
        if not bool(torch.isfinite(tensor).all()):
            raise DataError("A preprocessed image has values that are not finite; check the preprocessing.")
        return tensor

    def picture(self, image: Picture) -> Image.Image:
        """The RGB image that elements are cut from: the image itself, or what the network sees where a function preprocesses."""
        if self.function is None and isinstance(image, Image.Image):
            return image.convert("RGB")
        return self.view(image)

    def view(self, image: Picture) -> Image.Image:
        """The network's input as an RGB image."""
        pixels = self.transform.denormalize(self.network_input(image)[None])[0].numpy()
        return Image.fromarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)


def choose_preprocessing(
    model: nn.Module | Backbone, preprocess: PreprocessFunction | Preprocessing | None, first: Sequence[Picture], own: object | None
) -> ImagePreprocessing:
    """Choose the preprocessing of a model's images.

    Parameters
    ----------
    preprocess : a function from an image to a tensor, the values of a `Preprocessing`, or None: tensors are used as they are, PIL images
        have the preprocessing of the backbone or of a timm network
    first : some images of the source, at least one
    own : the transform of the source itself, in which a normalisation is looked for

    Raises
    ------
    SettingError
        Where PIL images need a preprocessing and none is known.
    DataError
        For tensors that are not images.
    """
    if isinstance(model, Backbone):
        if preprocess is not None:
            raise SettingError("A backbone has its own preprocessing; leave preprocess out.", param="preprocess")
        return ImagePreprocessing(model.transform)
    if isinstance(preprocess, Preprocessing):
        return ImagePreprocessing(_requested(model, preprocess, first))
    if preprocess is None and isinstance(first[0], Image.Image):
        return ImagePreprocessing(_timm_transform(model), notes=("The preprocessing is that of timm for the network.",))
    tensors = [preprocessed_tensor(image, preprocess) for image in first]
    channels, height, width = tensors[0].shape
    mean, std, note = _normalisation(tensors, preprocess if preprocess is not None else own)
    size = (int(height), int(width))
    return ImagePreprocessing(ImageTransform(size, size, mean, std, crop_mode="squash", channels=int(channels)), preprocess, note)


def as_picture(image: Picture | str | Path) -> Picture:
    """An image that is given as a file, a tensor or an image of Pillow."""
    return load_image(Path(image)) if isinstance(image, (str, Path)) else image


def preprocessed_tensor(image: Picture, function: PreprocessFunction | None) -> Tensor:
    """Apply a preprocessing function, or none -> (channels, H, W) float32 on the CPU.

    Raises
    ------
    DataError
        For a result that is not such a tensor of 1 or 3 channels.
    """
    made: object = image if function is None else function(image)
    if not isinstance(made, Tensor) or made.ndim != 3 or made.shape[0] not in (1, 3):
        shape = f"of shape {tuple(made.shape)}" if isinstance(made, Tensor) else f"of type {type(made).__name__}"
        raise DataError(f"A preprocessed image must be a tensor of 1 or 3 channels (channels, H, W); one is {shape}.", param="preprocess")
    return made.detach().cpu().float()


def _requested(model: nn.Module, preprocess: Preprocessing, first: Sequence[Picture]) -> ImageTransform:
    if not all(isinstance(image, Image.Image) for image in first):
        raise SettingError("A Preprocessing applies to PIL images; these are tensors, so leave preprocess out.", param="preprocess")
    if preprocess.input_size is None:
        raise SettingError("The input size of a module is not known; give Preprocessing(input_size=…).", param="preprocess")
    size = both_sides(preprocess.input_size)
    channels = next((part.in_channels for part in model.modules() if isinstance(part, nn.Conv2d)), 3)
    return override(ImageTransform(size, size, mean=(0.0,) * channels, std=(1.0,) * channels, channels=channels), preprocess)


def _timm_transform(model: nn.Module) -> ImageTransform:
    if not hasattr(model, "pretrained_cfg"):
        raise SettingError(
            f"The images are PIL images, and {type(model).__name__} has no preprocessing of its own; give preprocess, a function from a "
            "PIL image to a tensor or Preprocessing(input_size=…, mean=…, std=…).",
            param="preprocess",
        )
    from iis_engine.backbones.timm_networks import timm_transform

    config = cast("dict[str, Any]", cast(Any, model).pretrained_cfg)
    return timm_transform(model, {}, int(config.get("input_size", (3,))[0]))


def _normalisation(tensors: Sequence[Tensor], transform: object | None) -> tuple[tuple[float, ...], tuple[float, ...], tuple[str, ...]]:
    """Mean and deviation per channel with which tensors become pictures, and a note where they were not found in the transform."""
    channels = tensors[0].shape[0]
    if (found := _find_normalize(transform)) is not None and len(found[0]) in (1, channels):
        mean, std = (values * (channels // len(values)) for values in found)
        return mean, std, ()
    low = min(float(tensor.min()) for tensor in tensors)
    high = max(float(tensor.max()) for tensor in tensors)
    if low >= 0 and high <= 1:
        return (0.0,) * channels, (1.0,) * channels, ()
    spread = high - low or 1.0
    note = f"The normalisation of the images is not known, so values from {low:.3g} to {high:.3g} are shown as black to white."
    return (-low / spread,) * channels, (1 / spread,) * channels, (note,)


def _find_normalize(transform: object | None) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and std of the last Normalize in a composition of transforms."""
    mean, std = getattr(transform, "mean", None), getattr(transform, "std", None)
    if mean is not None and std is not None and not callable(mean):
        return _floats(mean), _floats(std)
    parts: Iterable[object] = getattr(transform, "transforms", None) or (transform.children() if isinstance(transform, nn.Module) else ())
    found = [each for part in parts if (each := _find_normalize(part)) is not None]
    return found[-1] if found else None


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in torch.as_tensor(values, dtype=torch.float64).flatten())
