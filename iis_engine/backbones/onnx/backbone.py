"""Backbone computed by onnxruntime from a single ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from iis_engine.backbones.backbone import Backbone, representation_digest
from iis_engine.backbones.hooks import pooled
from iis_engine.backbones.onnx.graph import OnnxGraph, read_graph
from iis_engine.backbones.onnx.session import OnnxInputError, OnnxSession
from iis_engine.backbones.pooling import LayerPooling, TokenLayout
from iis_engine.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD, ImageTransform, both_sides, for_channels, override, scaled_size
from iis_engine.errors import ArchitectureError
from iis_engine.notes import Notes
from iis_engine.specs import BackboneSpec

_DEFAULT_INPUT_SIZE = 224
_DEFAULT_CROP_PCT = 0.875
_UNCROPPED_INPUT_SIZE_MAX = 96
"""Inputs up to this many pixels are not cropped by default; larger ones are a centre crop of `_DEFAULT_CROP_PCT`."""

_DRY_RUN_IMAGES = 2


class OnnxBackbone(Backbone):
    """An ONNX network as a backbone; see `load_backbone`."""

    def __init__(self, spec: BackboneSpec, graph: OnnxGraph, file_bytes: bytes, device: torch.device) -> None:
        self._spec = spec
        self._graph = graph
        self.transform, notes = _transform(spec, graph)
        self.device = torch.device("cpu")  # onnxruntime returns its outputs in host memory
        self._session = OnnxSession(graph.model, device)
        self.notes = Notes((*graph.notes, *notes, *self._session.notes)).sentences
        self._pool = pooled if spec.layer is None else LayerPooling(spec.pooling, spec.layer, _token_layout(spec), self.input_size)
        self._map_name: str | None = None
        self.num_features = self._dry_run().shape[1]
        self.digest = representation_digest([file_bytes], self._settings())

    def embed(self, batch: Tensor) -> Tensor:
        """Compute f of preprocessed images, averaged over positions if the representation has any."""
        return self._pool(self._run(batch, self._graph.representation))

    def feature_map(self, batch: Tensor) -> Tensor | None:
        """Compute the map (n, d, h, w) before the final average pooling; None if loading found none."""
        return None if self._map_name is None else self._run(batch, self._map_name)

    def describe(self) -> dict[str, Any]:
        """Return JSON-ready values; `notes` lists the settings that the file does not contain and that were assumed."""
        return {
            **self._settings(),
            "num_features": self.num_features,
            "input_size": list(self.input_size),
            "parameter_count": self._graph.parameter_count,
            "feature_map": self._map_name is not None,
            "notes": list(self.notes),
        }

    def _settings(self) -> dict[str, Any]:
        return {
            "architecture": self._spec.architecture,
            "arguments": self._spec.arguments,
            "pretrained": None,
            "layer": self._spec.layer,
            "output": self._graph.representation,
            **({"pooling": self._spec.pooling} if self._spec.pooling is not None else {}),
            "preprocessing": self.transform.describe(),
        }

    def _run(self, batch: Tensor, output: str) -> Tensor:
        images = batch.detach().cpu().numpy().astype(self._graph.input_type)
        if self._graph.channels_last:
            images = images.transpose(0, 2, 3, 1)
        try:
            return self._session.run({self._graph.input_name: images}, output, fixed_batch=self._graph.sizes[0])
        except OnnxInputError as error:
            raise ArchitectureError(f"The network rejects an input of shape {images.shape}: {error}.", param="preprocessing") from error

    def _dry_run(self) -> Tensor:
        height, width = self.input_size
        noise = np.random.default_rng(0).integers(0, 256, (_DRY_RUN_IMAGES, height, width, self.transform.channels), dtype=np.uint8)
        batch = torch.stack([self.normalize(pixels) for pixels in noise])
        features = self.embed(batch)
        if features.ndim != 2 or len(features) != _DRY_RUN_IMAGES:
            raise ArchitectureError(
                f"The value {self._graph.representation!r} has shape {tuple(features.shape)} for {_DRY_RUN_IMAGES} images; "
                "name a layer whose output is one vector or map per image.",
                param="layer",
            )
        if not bool(torch.isfinite(features).all()):
            raise ArchitectureError(
                "The output of the network is not finite; send other weights or preprocessing.", code="representation_not_finite"
            )
        if self._graph.map_candidate is not None:
            maps = self._run(batch, self._graph.map_candidate)
            same_shape = maps.ndim == 4 and maps.shape[:2] == features.shape
            if same_shape and float((maps.mean((2, 3)) - features).abs().max()) <= 1e-4 * float(features.abs().max()):
                self._map_name = self._graph.map_candidate
        return features


def load_onnx_backbone(spec: BackboneSpec, checkpoint: Path, device: torch.device) -> OnnxBackbone:
    """Read the file, cut the graph at its representation and run it once; see `load_backbone`."""
    graph = read_graph(checkpoint, spec.layer)
    return OnnxBackbone(spec, graph, checkpoint.read_bytes(), device)


def _transform(spec: BackboneSpec, graph: OnnxGraph) -> tuple[ImageTransform, list[str]]:
    _, channels, height, width = graph.sizes
    requested, notes = spec.preprocessing, list[str]()
    wanted = None if requested.input_size is None else both_sides(requested.input_size)
    if wanted is not None and ((height or wanted[0]), (width or wanted[1])) != wanted:
        raise ArchitectureError(
            f"The network's input is {height} x {width}, but input_size is {requested.input_size}; leave input_size out.",
            param="preprocessing",
        )
    if height is None or width is None:
        height, width = wanted or (height or width or _DEFAULT_INPUT_SIZE,) * 2
        if wanted is None:
            notes.append(f"The file does not fix the input size; {height} pixels were assumed.")
    if (requested.mean is None or requested.std is None) and requested.value_range != 255:
        notes.append("An ONNX file contains no preprocessing; the ImageNet mean and standard deviation were assumed.")
    if requested.value_range is None or (requested.channel_order is None and channels == 3):
        notes.append(
            "Channels in the order RGB and values from 0 to 1 before mean and std were assumed unless given; channel_order=bgr and "
            "value_range=255 select the others."
        )
    crop_pct = 1.0 if max(height, width) <= _UNCROPPED_INPUT_SIZE_MAX else _DEFAULT_CROP_PCT
    if requested.crop_pct is None and requested.crop_mode is None and crop_pct < 1:
        notes.append(f"A centre crop of {crop_pct:g} of each side was assumed.")
    own = ImageTransform(
        input_size=(height, width),
        resize_size=scaled_size((height, width), crop_pct),
        mean=for_channels(IMAGENET_MEAN, channels),
        std=for_channels(IMAGENET_STD, channels),
        channels=channels,
    )
    return override(own, requested), notes


def _token_layout(spec: BackboneSpec) -> TokenLayout:
    """Return the layout for a layer of tokens: a graph does not mark its class token, so that it is the first one if it is asked for."""
    return TokenLayout(class_tokens=1 if spec.pooling in {"class", "patches"} else 0)
