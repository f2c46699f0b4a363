"""Backbones that onnxruntime computes, from a single ONNX file. Graph surgery is in onnx_graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from iis_engine.backbones.backbone import Backbone, representation_digest
from iis_engine.backbones.hooks import pooled
from iis_engine.backbones.onnx_graph import OnnxGraph, read_graph
from iis_engine.backbones.onnx_session import InputRefused, OnnxSession
from iis_engine.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD, ImageTransform, for_channels, override, scaled_size
from iis_engine.errors import ArchitectureError
from iis_engine.specs import BackboneSpec

DEFAULT_INPUT_SIZE = 224
DEFAULT_CROP_PCT = 0.875
SMALL_INPUT = 96
"""Networks of inputs up to this many pixels see the whole image by default; larger ones a crop of `DEFAULT_CROP_PCT`."""

_DRY_IMAGES = 2


class OnnxBackbone(Backbone):
    """A network from an ONNX file; see `load_backbone`."""

    def __init__(self, spec: BackboneSpec, graph: OnnxGraph, file_bytes: bytes, device: torch.device) -> None:
        self._spec = spec
        self._graph = graph
        self.transform, self._notes = _transform(spec, graph)
        self.device = torch.device("cpu")  # arrays pass through host memory, wherever the session computes
        self._session = OnnxSession(graph.model, device)
        self._notes += self._session.notes
        self._map_name: str | None = None
        dry = self._dry_forward()
        self.num_features = dry.shape[1]
        self.digest = representation_digest([file_bytes], self._settings())

    def embed(self, batch: Tensor) -> Tensor:
        """f of preprocessed images, pooled over positions where the tapped value has any."""
        return pooled(self._run(batch, self._graph.representation))

    def feature_map(self, batch: Tensor) -> Tensor | None:
        """(n, d, h, w) before the final average pooling, checked when the network was loaded; else None."""
        return None if self._map_name is None else self._run(batch, self._map_name)

    def describe(self) -> dict[str, Any]:
        """Sizes and preprocessing; `notes` says which of them the file does not state and were assumed."""
        return {
            **self._settings(),
            "num_features": self.num_features,
            "input_size": list(self.input_size),
            "parameter_count": self._graph.parameter_count,
            "feature_map": self._map_name is not None,
            "notes": list(self._notes),
        }

    def _settings(self) -> dict[str, Any]:
        return {
            "architecture": self._spec.architecture,
            "arguments": self._spec.arguments,
            "pretrained": None,
            "layer": self._spec.layer,
            "output": self._graph.representation,
            "preprocessing": self.transform.describe(),
        }

    def _run(self, batch: Tensor, output: str) -> Tensor:
        images = batch.detach().cpu().numpy().astype(self._graph.input_type)
        if self._graph.channels_last:
            images = images.transpose(0, 2, 3, 1)
        try:
            return self._session.run({self._graph.input_name: images}, output, fixed_batch=self._graph.sizes[0])
        except InputRefused as error:
            raise ArchitectureError(f"The network refuses an input of {images.shape}: {error}.", param="preprocessing") from error

    def _dry_forward(self) -> Tensor:
        height, width = self.input_size
        noise = np.random.default_rng(0).integers(0, 256, (_DRY_IMAGES, height, width, self.transform.channels), dtype=np.uint8)
        batch = torch.stack([self.normalize(pixels) for pixels in noise])
        features = self.embed(batch)
        if features.ndim != 2 or len(features) != _DRY_IMAGES:
            raise ArchitectureError(
                f"The value {self._graph.representation!r} has shape {tuple(features.shape)} for {_DRY_IMAGES} images; "
                "name a layer with one vector or map per image.",
                param="layer",
            )
        if not bool(torch.isfinite(features).all()):
            raise ArchitectureError("The network yields values that are not finite.", code="representation_not_finite")
        if self._graph.map_candidate is not None:
            maps = self._run(batch, self._graph.map_candidate)
            same = maps.ndim == 4 and maps.shape[:2] == features.shape
            if same and float((maps.mean((2, 3)) - features).abs().max()) <= 1e-4 * float(features.abs().max()):
                self._map_name = self._graph.map_candidate
        return features


def load_onnx_backbone(spec: BackboneSpec, checkpoint: Path, device: torch.device) -> OnnxBackbone:
    """Read the file, cut it at the representation, and try it; see `load_backbone`."""
    if spec.arguments:
        raise ArchitectureError("An onnx network takes no arguments: its file is the whole network.", param="arguments")
    graph = read_graph(checkpoint, spec.layer)
    return OnnxBackbone(spec, graph, checkpoint.read_bytes(), device)


def _transform(spec: BackboneSpec, graph: OnnxGraph) -> tuple[ImageTransform, list[str]]:
    _, channels, height, width = graph.sizes
    wanted, notes = spec.preprocessing, list[str]()
    if wanted.input_size is not None and {height, width} - {None, wanted.input_size}:
        raise ArchitectureError(
            f"The network takes images of {height} x {width}; input_size asks for {wanted.input_size}.", param="preprocessing"
        )
    if height is None or width is None:
        height = width = wanted.input_size or height or width or DEFAULT_INPUT_SIZE
        if wanted.input_size is None:
            notes.append(f"the file leaves its input size open; {height} pixels were assumed")
    if wanted.mean is None or wanted.std is None:
        notes.append("an ONNX file states no preprocessing; the ImageNet mean and deviation were assumed")
    crop_pct = 1.0 if max(height, width) <= SMALL_INPUT else DEFAULT_CROP_PCT
    if wanted.crop_pct is None and crop_pct < 1:
        notes.append(f"a centre crop of {crop_pct:g} of each side was assumed")
    own = ImageTransform(
        input_size=(height, width),
        resize_size=scaled_size((height, width), crop_pct),
        mean=for_channels(IMAGENET_MEAN, channels),
        std=for_channels(IMAGENET_STD, channels),
        channels=channels,
    )
    return override(own, wanted), notes
