"""Backbones that torch computes: weights loaded into a named network, its representation tapped. Names are resolved in architectures."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from iis_engine.backbones.architecture_errors import near
from iis_engine.backbones.architectures import Network, build_network
from iis_engine.backbones.backbone import Backbone, representation_digest
from iis_engine.backbones.checkpoints import fit_weights, load_checkpoint
from iis_engine.backbones.hooks import channels_first, input_of, output_of, pooled
from iis_engine.backbones.preprocessing import override
from iis_engine.backbones.token_maps import TokenMap, find_token_map
from iis_engine.errors import ArchitectureError
from iis_engine.specs import BackboneSpec

_FORWARD_ERRORS = (RuntimeError, ValueError, AssertionError, TypeError, IndexError)
_DRY_IMAGES = 2


class TorchBackbone(Backbone):
    """A network of timm, torchvision or open_clip; see `load_backbone`."""

    def __init__(self, spec: BackboneSpec, network: Network, device: torch.device) -> None:
        self.transform = override(network.transform, spec.preprocessing)
        self.device = device
        self._spec = spec
        self._network = network
        self._module = network.module.eval().requires_grad_(requires_grad=False).to(device=device).to(memory_format=torch.channels_last)
        self._half = None
        if device.type == "cuda":
            self._half = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        state = {key: tensor for key, tensor in self._module.state_dict().items() if not self._in_unused_head(key)}
        self._parameter_count = sum(weights.numel() for key, weights in self._module.named_parameters() if key in state)
        self._map_layer: str | None = None
        dry = self._dry_forward()
        self.num_features = dry.shape[1]
        self._map_layer = self._find_map_layer(dry)
        self._token_map = None if self._map_layer is not None else self._find_token_map(dry)
        self._tokens_average = self._token_map is not None and self._averages_to(self._token_map, dry)
        self.digest = representation_digest(
            (weight_bytes(key, tensor) for key, tensor in sorted(state.items())),
            {**self._settings(), "arguments": self._arguments_in_use(), "pretrained": None},
        )

    def embed(self, batch: Tensor) -> Tensor:
        """f of preprocessed images; computed in half precision on a GPU, and again in full where float16 overflows."""
        images = self._on_device(batch)
        with self._computing(half=True):
            features = pooled(self._represent(images)).float()
        if self._half is torch.float16 and not bool(torch.isfinite(features).all()):
            with self._computing(half=False):
                features = pooled(self._represent(images)).float()
        return features

    def feature_map(self, batch: Tensor) -> Tensor | None:
        """(n, d, h, w) whose spatial mean is the representation, checked when the network was loaded; else None.

        Computed in full precision on a GPU too, where `embed` is not: there the mean is f up to 2e-2 of its largest value.
        """
        if self._map_layer is None:
            return self.token_map(batch) if self._tokens_average else None
        with self._computing(half=False), output_of(self._module, self._map_layer) as seen:
            self._represent(self._on_device(batch))
        return channels_first(seen[-1]).float()

    def token_map(self, batch: Tensor) -> Tensor | None:
        """(n, d, h, w), the representation read at each place on its own, in full precision; None where nothing of the kind was found."""
        if self._token_map is None:
            return None
        with self._computing(half=False):
            return self._token_map(self._on_device(batch)).float()

    def describe(self) -> dict[str, Any]:
        """Architecture, sizes and preprocessing; `parameter_count` leaves out the classifier."""
        return {
            **self._settings(),
            "initial_seed": self._spec.initial_seed,
            "num_features": self.num_features,
            "input_size": list(self.input_size),
            "parameter_count": self._parameter_count,
            "feature_map": self._map_layer is not None or self._tokens_average,
            "notes": [],
        }

    def weights_digest(self) -> str:
        """sha256 of all weights, of those behind the representation too, which `digest` leaves out."""
        return representation_digest((weight_bytes(key, tensor) for key, tensor in sorted(self._module.state_dict().items())), {})

    @property
    def spec(self) -> BackboneSpec:
        """What it was asked for by."""
        return self._spec

    def copy_network(self) -> Network:
        """The network with weights of its own on the same device, for those who change them; its gradients are off and it evaluates."""
        return replace(self._network, module=deepcopy(self._module))

    def with_weights(self, weights: Mapping[str, Tensor]) -> TorchBackbone:
        """The same network with other weights: all that `copy_network().module.state_dict()` names."""
        network = self.copy_network()
        network.module.load_state_dict(weights)
        return TorchBackbone(self._spec, network, self.device)

    def _settings(self) -> dict[str, Any]:
        return {
            "architecture": self._spec.architecture,
            "arguments": self._spec.arguments,
            "pretrained": self._spec.pretrained,
            "layer": self._spec.layer,
            "preprocessing": self.transform.describe(),
        }

    def _arguments_in_use(self) -> dict[str, Any]:
        return {name: value for name, value in self._spec.arguments.items() if name not in self._network.idle_arguments}

    def _in_unused_head(self, key: str) -> bool:
        return any(key.startswith(f"{name}.") for name in unused_head(self._network, self._spec.layer))

    @contextmanager
    def _computing(self, *, half: bool) -> Generator[None]:
        with torch.no_grad(), torch.autocast(self.device.type, dtype=self._half, enabled=half and self._half is not None):
            yield

    def _on_device(self, batch: Tensor) -> Tensor:
        return batch.to(self.device, memory_format=torch.channels_last, non_blocking=True)

    def _represent(self, images: Tensor) -> Tensor:
        if self._spec.layer is not None:
            with output_of(self._module, self._spec.layer) as seen:
                self._module(images)
            return seen[-1]
        if self._network.represent is not None:
            return self._network.represent(self._module, images)
        with input_of(self._module, self._network.head[0]) as seen:
            self._module(images)
        return seen[-1]

    def _dry_images(self) -> Tensor:
        height, width = self.transform.input_size
        noise = np.random.default_rng(0).integers(0, 256, (_DRY_IMAGES, height, width, 3), dtype=np.uint8)
        return torch.stack([self.preprocess_element(Image.fromarray(pixels)) for pixels in noise])

    def _dry_forward(self) -> Tensor:
        """f of two noise images, or the sentence why there is none."""
        title = self._spec.architecture
        try:
            features = self.embed(self._dry_images())
        except _FORWARD_ERRORS as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise ArchitectureError(
                f"{title} refuses an input of {self.transform.channels} x {self.input_size[0]} x {self.input_size[1]}: {reason}.",
                param="preprocessing",
            ) from error
        if features.ndim != 2 or features.shape[1] == 0:
            raise ArchitectureError(
                f"The layer {self._spec.layer!r} of {title} yields shape {tuple(features.shape)}, no vector.", param="layer"
            )
        if not bool(torch.isfinite(features).all()):
            raise ArchitectureError(f"{title} yields values that are not finite with these weights.", code="representation_not_finite")
        return features

    def _find_map_layer(self, representation: Tensor) -> str | None:
        """The last module whose output averages to the representation over space, on the dry images."""
        found: list[str] = []
        tolerance = self._tolerance(representation)

        def compare(name: str) -> Callable[[nn.Module, Any, Any], None]:
            def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
                if not isinstance(output, Tensor) or output.ndim != 4:
                    return
                candidate = channels_first(output).float()
                if candidate.shape[2:].numel() == 1 or candidate.shape[:2] != representation.shape:
                    return
                if float((candidate.mean((2, 3)) - representation).abs().max()) <= tolerance:
                    found.append(name)

            return hook

        handles = [part.register_forward_hook(compare(name)) for name, part in self._module.named_modules() if name]
        try:
            self.embed(self._dry_images())
        finally:
            for handle in handles:
                handle.remove()
        if self._spec.layer in found:
            return self._spec.layer  # not an average pooling after it, which has the same mean
        return found[-1] if found else None

    def _find_token_map(self, representation: Tensor) -> TokenMap | None:
        images = self._on_device(self._dry_images())
        with self._computing(half=False):
            return find_token_map(self._module, self._spec.layer, images, representation, self._tolerance(representation))

    def _averages_to(self, token_map: TokenMap, representation: Tensor) -> bool:
        """Whether the patches are averaged and nothing follows, so that the token map is the feature map."""
        with self._computing(half=False):
            mean = token_map(self._on_device(self._dry_images())).mean((2, 3))
        return float((mean - representation).abs().max()) <= self._tolerance(representation)

    def _tolerance(self, representation: Tensor) -> float:
        return (2e-2 if self._half is not None else 1e-4) * float(representation.abs().max())


def load_torch_backbone(spec: BackboneSpec, checkpoint: Path | None, device: torch.device) -> TorchBackbone:
    """Build the network, load the checkpoint into it if there is one, and try it; see `load_backbone`."""
    network = _built_untrained(spec, spec.initial_seed) if spec.initial_seed is not None else build_network(spec)
    names = [name for name, _ in network.module.named_modules() if name]
    if spec.layer is not None and spec.layer not in names:
        raise ArchitectureError(
            f"{spec.architecture} has no layer {spec.layer!r}.{near(spec.layer, names)}", code="layer_unknown", param="layer"
        )
    if checkpoint is not None:
        weights = load_checkpoint(checkpoint)
        if network.key_prefix and any(key.startswith(network.key_prefix) for key in weights):
            weights = {
                key.removeprefix(network.key_prefix): tensor for key, tensor in weights.items() if key.startswith(network.key_prefix)
            }
        fit_weights(network.module, weights, architecture=spec.architecture, head=unused_head(network, spec.layer))
    return TorchBackbone(spec, network, device)


def _built_untrained(spec: BackboneSpec, seed: int) -> Network:
    """The network as its library initialises it from a seed; other random numbers of the process are drawn as if it had not been."""
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        return build_network(spec)


def unused_head(network: Network, layer: str | None) -> tuple[str, ...]:
    """The submodules after the representation; none when the named layer lies among them."""
    if layer is not None and any(layer == name or layer.startswith(f"{name}.") for name in network.head):
        return ()
    return network.head


def weight_bytes(key: str, tensor: Tensor) -> bytes:
    """A key and its values as bytes for a digest."""
    data = tensor.detach().cpu().contiguous()
    return f"{key} {data.dtype} {tuple(data.shape)} ".encode() + data.numpy().tobytes()
