"""Interface of a backbone f: preprocessing, representation, feature map. `factory` loads one; each family has its own module."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from iis_engine.backbones.preprocessing import ImageTransform


class Backbone(ABC):
    """A network up to its pooled representation, f: image -> R^d (METHOD §1), with its own preprocessing.

    Attributes
    ----------
    num_features : d
    transform : preprocessing of images
    device : device of the representation
    digest : sha256 over the weights in use, the architecture, its arguments, the layer and the preprocessing
    notes : what was assumed, chosen, converted or left out while the network was read, one sentence each
    """

    num_features: int
    transform: ImageTransform
    device: torch.device
    digest: str
    notes: tuple[str, ...]

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the network's input in pixels."""
        return self.transform.input_size

    def preprocess(self, image: Image.Image) -> Tensor:
        """Resize, crop and normalise an upright RGB image -> (channels, H, W) float32."""
        return self.normalize(self.transform.pixels(image))

    def preprocess_element(self, crop: Image.Image) -> Tensor:
        """Resize a visual element to the input size without cropping, and normalise it -> (channels, H, W) float32."""
        return self.normalize(self.transform.uncropped_pixels(crop))

    def normalize(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Normalise pixels (H, W, channels) uint8 -> (channels, H, W) float32."""
        return self.transform.normalize(torch.tensor(pixels)[None])[0]

    @abstractmethod
    def embed(self, batch: Tensor) -> Tensor:
        """Compute f of preprocessed images (n, channels, H, W) float32 on any device -> (n, d) float32 on `device`."""

    @abstractmethod
    def feature_map(self, batch: Tensor) -> Tensor | None:
        """Compute the map (n, d, h, w) float32 whose mean over (h, w) is `embed(batch)`; None without a final average pooling."""

    def token_map(self, batch: Tensor) -> Tensor | None:
        """Compute the representation at each position (n, d, h, w) float32; None where the network has no spatial positions.

        A proxy of `feature_map`: its mean over (h, w) is not the representation.
        """
        return None

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return JSON-ready values: architecture, num_features, input_size, preprocessing, parameter_count, feature_map, notes."""


def representation_digest(parts: Iterable[bytes], settings: dict[str, Any]) -> str:
    """Hash the JSON of all settings that determine the representation, then each part's sha256.

    Parameters
    ----------
    parts : weights as bytes, in a fixed order
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()
