"""f: what every backbone offers, and the one door through which each is loaded. The families are built in their own modules."""

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
    """A network up to its pooled representation, f: image -> R^d, with its own preprocessing.

    Attributes
    ----------
    num_features : d
    transform : how images become the network's input
    device : where the network computes
    digest : sha256 over the weights in use, the architecture, its arguments, the layer and the preprocessing
    """

    num_features: int
    transform: ImageTransform
    device: torch.device
    digest: str

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the network's input in pixels."""
        return self.transform.input_size

    def preprocess(self, image: Image.Image) -> Tensor:
        """The network's own preprocessing of an upright RGB image: (channels, H, W) float32."""
        return self.normalize(self.transform.pixels(image))

    def preprocess_element(self, crop: Image.Image) -> Tensor:
        """A visual element, resized whole to the input size: (channels, H, W) float32."""
        return self.normalize(self.transform.whole_pixels(crop))

    def normalize(self, pixels: NDArray[np.uint8]) -> Tensor:
        """(H, W, channels) uint8 -> (channels, H, W) float32."""
        return self.transform.normalize(torch.tensor(pixels)[None])[0]

    @abstractmethod
    def embed(self, batch: Tensor) -> Tensor:
        """f of preprocessed images, (n, channels, H, W) float32 on any device -> (n, d) float32 on `device`."""

    @abstractmethod
    def feature_map(self, batch: Tensor) -> Tensor | None:
        """(n, d, h, w) float32 whose mean over (h, w) is `embed(batch)`; None where the network does not end in average pooling."""

    def token_map(self, batch: Tensor) -> Tensor | None:
        """(n, d, h, w) float32, the representation read at each place on its own; None where the network offers no such reading.

        A proxy of what `feature_map` gives exactly: its mean is not the representation.
        """
        return None

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What was loaded, as JSON-ready values: num_features, input_size, preprocessing, parameter_count, architecture and more."""


def representation_digest(parts: Iterable[bytes], settings: dict[str, Any]) -> str:
    """sha256 over weight bytes and the JSON of all settings that decide the representation."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()
