"""Backbone computed by torch: load the checkpoint into a network, capture its representation, find its feature map."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from iis_engine.backbones.architecture_errors import suggestion
from iis_engine.backbones.architectures import build_network
from iis_engine.backbones.backbone import Backbone, representation_digest
from iis_engine.backbones.checkpoints.files import load_checkpoint
from iis_engine.backbones.checkpoints.weights import fit_weights, weight_bytes
from iis_engine.backbones.hooks import capture_input, capture_output, channels_first, pooled
from iis_engine.backbones.network import Network
from iis_engine.backbones.pooling import LayerPooling
from iis_engine.backbones.preprocessing import override
from iis_engine.backbones.token_maps import TokenMap, find_token_map
from iis_engine.errors import ArchitectureError, first_line
from iis_engine.notes import Notes
from iis_engine.specs import BackboneSpec, PoolingName

_FORWARD_ERRORS = (RuntimeError, ValueError, AssertionError, TypeError, IndexError)
_DRY_RUN_IMAGES = 2


class TorchBackbone(Backbone):
    """A timm, torchvision or open_clip network as a backbone; see `load_backbone`.

    Attributes
    ----------
    spec : the request it was loaded from
    """

    def __init__(self, spec: BackboneSpec, network: Network, device: torch.device, notes: Iterable[str] = ()) -> None:
        self.notes = Notes((*network.notes, *notes)).sentences
        self.transform = override(network.transform, spec.preprocessing)
        self.device = device
        self.spec = spec
        self._network = network
        self._module = network.module.eval().requires_grad_(requires_grad=False).to(device=device).to(memory_format=torch.channels_last)
        self._pool = _pooling(spec, network, self.transform.input_size)
        self._half = None
        if device.type == "cuda":
            self._half = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        state = {key: tensor for key, tensor in self._module.state_dict().items() if not self._is_in_unused_head(key)}
        self._parameter_count = sum(weights.numel() for key, weights in self._module.named_parameters() if key in state)
        self._map_layer: str | None = None
        representation = self._dry_run()
        self.num_features = representation.shape[1]
        self._map_layer = self._find_map_layer(representation)
        self._token_map = None if self._map_layer is not None else self._find_token_map(representation)
        self._tokens_average = self._token_map is not None and self._averages_to(self._token_map, representation)
        self.digest = representation_digest(
            (weight_bytes(key, tensor) for key, tensor in sorted(state.items())),
            {**self._settings(), "arguments": self._arguments_in_use(), "pretrained": None},
        )

    def embed(self, batch: Tensor) -> Tensor:
        """Compute f of preprocessed images; in half precision on a GPU, again in float32 if float16 overflows."""
        images = self._on_device(batch)
        with self._computing(half=True):
            features = self._pool(self._represent(images)).float()
        if self._half is torch.float16 and not bool(torch.isfinite(features).all()):
            with self._computing(half=False):
                features = self._pool(self._represent(images)).float()
        return features

    def embed_layers(self, batch: Tensor, backbones: Sequence[TorchBackbone]) -> list[Tensor]:
        """Compute f of each of the backbones that `at_layer` returned, in one forward pass; each equals the backbone's own `embed`."""
        features = self._read_layers(batch, backbones, half=True)
        overflown = self._half is torch.float16 and not all(bool(torch.isfinite(one).all()) for one in features)
        exact = self._read_layers(batch, backbones, half=False) if overflown else features
        return [one if bool(torch.isfinite(one).all()) else other for one, other in zip(features, exact, strict=True)]

    def feature_map(self, batch: Tensor) -> Tensor | None:
        """Compute the map (n, d, h, w) whose spatial mean is the representation; None if loading found none.

        Always in float32, unlike `embed` on a GPU: there the mean equals f up to 2e-2 of its largest value.
        """
        if self._map_layer is None:
            return self.token_map(batch) if self._tokens_average else None
        with self._computing(half=False), capture_output(self._module, self._map_layer) as captured:
            self._represent(self._on_device(batch))
        return channels_first(captured[-1]).float()

    def token_map(self, batch: Tensor) -> Tensor | None:
        """Compute the representation at each position (n, d, h, w) in float32; None if loading found no positions."""
        if self._token_map is None:
            return None
        with self._computing(half=False):
            return self._token_map(self._on_device(batch)).float()

    def describe(self) -> dict[str, Any]:
        """Return architecture, sizes and preprocessing as JSON-ready values; `parameter_count` excludes the classifier."""
        return {
            **self._settings(),
            "initial_seed": self.spec.initial_seed,
            "num_features": self.num_features,
            "input_size": list(self.input_size),
            "parameter_count": self._parameter_count,
            "feature_map": self._map_layer is not None or self._tokens_average,
            "notes": list(self.notes),
        }

    def weights_digest(self) -> str:
        """Return the sha256 of all weights, including those after the representation, which `digest` excludes."""
        return representation_digest((weight_bytes(key, tensor) for key, tensor in sorted(self._module.state_dict().items())), {})

    def copy_network(self) -> Network:
        """Return the network with a copy of the weights on the same device, in evaluation mode and without gradients."""
        return replace(self._network, module=deepcopy(self._module))

    def with_weights(self, weights: Mapping[str, Tensor]) -> TorchBackbone:
        """Return the same network with other weights, given under all keys of `copy_network().module.state_dict()`."""
        network = self.copy_network()
        network.module.load_state_dict(weights)
        return TorchBackbone(self.spec, network, self.device, self.notes)

    def at_layer(self, layer: str, pooling: PoolingName | None = None) -> TorchBackbone:
        """Return the same network with the same weights in memory, read at a named layer.

        An unknown layer raises an ArchitectureError, as does one inside the classifier, whose weights are loaded only for that layer.
        """
        spec = replace(self.spec, layer=layer, pooling=pooling)
        require_layer(spec, self._module)
        if _unused_head(self._network, layer) != _unused_head(self._network, self.spec.layer):
            raise ArchitectureError(f"The layer {layer!r} needs the classifier's weights; load the network at this layer.", param="layer")
        return TorchBackbone(spec, self._network, self.device, self.notes)

    def _read_layers(self, batch: Tensor, backbones: Sequence[TorchBackbone], *, half: bool) -> list[Tensor]:
        with self._computing(half=half), ExitStack() as hooks:
            outputs = [hooks.enter_context(capture_output(self._module, one.spec.layer or "")) for one in backbones]
            self._module(self._on_device(batch))
            return [one._pool(captured[-1]).float() for one, captured in zip(backbones, outputs, strict=True)]

    def _settings(self) -> dict[str, Any]:
        return {
            "architecture": self.spec.architecture,
            "arguments": self.spec.arguments,
            "pretrained": self.spec.pretrained,
            "layer": self.spec.layer,
            "preprocessing": self.transform.describe(),
            **({"pooling": self.spec.pooling} if self.spec.pooling is not None else {}),
            **({"choices": self._network.choices} if self._network.choices else {}),
        }

    def _arguments_in_use(self) -> dict[str, Any]:
        return {name: value for name, value in self.spec.arguments.items() if name not in self._network.idle_arguments}

    def _is_in_unused_head(self, key: str) -> bool:
        return any(key.startswith(f"{name}.") for name in _unused_head(self._network, self.spec.layer))

    @contextmanager
    def _computing(self, *, half: bool) -> Generator[None]:
        with torch.no_grad(), torch.autocast(self.device.type, dtype=self._half, enabled=half and self._half is not None):
            yield

    def _on_device(self, batch: Tensor) -> Tensor:
        return batch.to(self.device, memory_format=torch.channels_last, non_blocking=True)

    def _represent(self, images: Tensor) -> Tensor:
        if self.spec.layer is not None:
            with capture_output(self._module, self.spec.layer) as captured:
                self._module(images)
            return captured[-1]
        if self._network.represent is not None:
            return self._network.represent(self._module, images)
        with capture_input(self._module, self._network.head[0]) as captured:
            self._module(images)
        return captured[-1]

    def _dry_run_images(self) -> Tensor:
        height, width = self.transform.input_size
        noise = np.random.default_rng(0).integers(0, 256, (_DRY_RUN_IMAGES, height, width, 3), dtype=np.uint8)
        return torch.stack([self.preprocess_element(Image.fromarray(pixels)) for pixels in noise])

    def _dry_run(self) -> Tensor:
        """Compute f (2, d) of two noise images, to check that the network accepts its input size and yields finite vectors."""
        title = self.spec.architecture
        try:
            features = self.embed(self._dry_run_images())
        except _FORWARD_ERRORS as error:
            raise ArchitectureError(
                f"{title} rejects an input of {self.transform.channels} x {self.input_size[0]} x {self.input_size[1]}: "
                f"{first_line(error)}.",
                param="preprocessing",
            ) from error
        if features.ndim != 2 or features.shape[1] == 0:
            raise ArchitectureError(
                f"The output of the layer {self.spec.layer!r} of {title} has shape {tuple(features.shape)}; "
                "name a layer whose output is one vector or map per image.",
                param="layer",
            )
        if not bool(torch.isfinite(features).all()):
            raise ArchitectureError(
                f"The output of {title} is not finite with these weights; send other weights.", code="representation_not_finite"
            )
        return features

    def _find_map_layer(self, representation: Tensor) -> str | None:
        """Return the name of the last module whose output, averaged over space, is the representation of the noise images."""
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
            self.embed(self._dry_run_images())
        finally:
            for handle in handles:
                handle.remove()
        if self.spec.layer in found:
            return self.spec.layer  # a later average pooling has the same mean
        return found[-1] if found else None

    def _find_token_map(self, representation: Tensor) -> TokenMap | None:
        images = self._on_device(self._dry_run_images())
        with self._computing(half=False):
            return find_token_map(self._module, self.spec.layer, images, representation, self._tolerance(representation), self._pool)

    def _averages_to(self, token_map: TokenMap, representation: Tensor) -> bool:
        """Whether the network only averages its patch tokens, so that the token map is an exact feature map."""
        with self._computing(half=False):
            mean = token_map(self._on_device(self._dry_run_images())).mean((2, 3))
        return float((mean - representation).abs().max()) <= self._tolerance(representation)

    def _tolerance(self, representation: Tensor) -> float:
        return (2e-2 if self._half is not None else 1e-4) * float(representation.abs().max())


def load_torch_backbone(spec: BackboneSpec, checkpoint: Path | None, device: torch.device, notes: Sequence[str] = ()) -> TorchBackbone:
    """Build the network, load the checkpoint if there is one, and run it once; see `load_backbone`. `notes` tell the file's origin."""
    state_dicts = [] if checkpoint is None else load_checkpoint(checkpoint)
    network = _build_untrained(spec, spec.initial_seed) if spec.initial_seed is not None else build_network(spec, state_dicts)
    require_layer(spec, network.module)
    on_weights = list[str]()
    if checkpoint is not None:
        on_weights = fit_weights(
            network.module,
            state_dicts,
            architecture=spec.architecture,
            file_name=checkpoint.name,
            head=_unused_head(network, spec.layer),
            convert=network.convert,
            own_prefix=network.key_prefix,
        )
    return TorchBackbone(spec, network, device, (*notes, *on_weights))


def require_layer(spec: BackboneSpec, module: nn.Module) -> None:
    """Raise an ArchitectureError with the code `layer_unknown` and similar names if the network does not have the named layer."""
    names = [name for name, _ in module.named_modules() if name]
    if spec.layer is not None and spec.layer not in names:
        raise ArchitectureError(
            f"{spec.architecture} has no layer {spec.layer!r}{suggestion(spec.layer, names)}.", code="layer_unknown", param="layer"
        )


def _build_untrained(spec: BackboneSpec, seed: int) -> Network:
    """Build the network as its library initialises it from a seed, without changing the process's random state."""
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        return build_network(spec)


def _unused_head(network: Network, layer: str | None) -> tuple[str, ...]:
    """Return the names of the submodules after the representation; none if the named layer is one of them or inside one."""
    if layer is not None and any(layer == name or layer.startswith(f"{name}.") for name in network.head):
        return ()
    return network.head


def _pooling(spec: BackboneSpec, network: Network, input_size: tuple[int, int]) -> Callable[[Tensor], Tensor]:
    """Return the reduction of the representation to vectors: by tokens for a named layer, else the mean over positions."""
    if spec.layer is None:
        return pooled
    attend = None if network.attention_pool is None else network.module.get_submodule(network.attention_pool)
    return LayerPooling(spec.pooling, spec.layer, network.tokens, input_size, attend)
