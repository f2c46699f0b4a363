"""f: what every backbone offers, and the one door through which each is loaded. The families are built in their own modules."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from iis_engine.devices import choose_device
from iis_engine.errors import ArchitectureError
from iis_engine.preprocessing import ImageTransform
from iis_engine.specs import ARCHITECTURE_FAMILIES, BackboneSpec


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


def load_backbone(spec: BackboneSpec, checkpoint: Path | None, *, device: str = "auto") -> Backbone:
    """Build the network that `spec` names and load its weights.

    Parameters
    ----------
    checkpoint : the file with the weights (for `onnx`, the whole network), or None when `spec.pretrained` names published weights or
        `spec.initial_seed` asks for the untrained network.
    device : `auto` (a GPU if there is one), `cpu` or `cuda`.

    Raises
    ------
    ArchitectureError
        For an unknown architecture, argument, layer or tag, or weights that do not fit.
    CheckpointError
        For a file that is not plain, finite weights.
    SettingError
        For a device that this machine does not have.
    """
    family, _, name = spec.architecture.partition(":")
    if family not in ARCHITECTURE_FAMILIES or (family != "onnx") != bool(name):
        raise ArchitectureError(
            f"{spec.architecture!r} is not an architecture; write timm:NAME, torchvision:NAME, open_clip:NAME or onnx.",
            code="architecture_unknown",
            param="architecture",
        )
    _require_one_source_of_weights(spec, checkpoint, is_onnx=family == "onnx")
    on = choose_device(device)
    # Each family is imported when it is asked for: together they take seconds to import.
    if family == "onnx":
        from iis_engine.onnx_backbone import load_onnx_backbone

        if checkpoint is None:
            raise ArchitectureError("An onnx backbone is its file; send it as the checkpoint.", param="checkpoint")
        return load_onnx_backbone(spec, checkpoint, on)
    from iis_engine.torch_backbone import load_torch_backbone

    return load_torch_backbone(spec, checkpoint, on)


def _require_one_source_of_weights(spec: BackboneSpec, checkpoint: Path | None, *, is_onnx: bool) -> None:
    if is_onnx and spec.initial_seed is not None:
        raise ArchitectureError("An onnx network is its file, weights and all, so it cannot be had untrained.", param="initial_seed")
    given = [source is not None for source in (checkpoint, spec.pretrained, spec.initial_seed)]
    if not any(given) or (is_onnx and checkpoint is None):
        instead = "." if is_onnx else ", name a pretrained tag, or give the seed of an untrained network."
        raise ArchitectureError(f"The weights are missing: send a checkpoint{instead}", param="checkpoint")
    if sum(given) > 1:
        raise ArchitectureError(
            "Send one of a checkpoint, a pretrained tag and an initial seed; more than one was given.",
            param="pretrained" if spec.pretrained is not None else "initial_seed",
        )


def representation_digest(parts: Iterable[bytes], settings: dict[str, Any]) -> str:
    """sha256 over weight bytes and the JSON of all settings that decide the representation."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()
