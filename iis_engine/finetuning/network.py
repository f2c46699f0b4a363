"""f as a trainable module: its trained weights, and its layers with batch statistics."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from iis_engine.backbones.hooks import pooled
from iis_engine.backbones.network import Network
from iis_engine.specs import TrainedPart

STAGES_AT_LEAST = 3  # entries of a list of modules that is one row of stages or blocks
_TAPPED = "_iis_tapped"


class Representation(nn.Module):
    """f of preprocessed images, (n, channels, H, W) -> (n, d) float32, with gradients.

    A forward pass leaves no state outside it, so that DataParallel may run copies of it in threads.
    """

    def __init__(self, network: Network, layer: str | None, half: torch.dtype | None) -> None:
        super().__init__()
        self.module = network.module
        self._represent = network.represent if layer is None else None
        self._tap = layer if layer is not None else (None if network.represent is not None else network.head[0])
        self._half = half
        if self._tap is not None:  # stored on the module, of which every thread has its own
            part = self.module.get_submodule(self._tap)
            if layer is None:
                part.register_forward_pre_hook(_keep_input)
            else:
                part.register_forward_hook(_keep_output)

    def forward(self, images: Tensor) -> Tensor:
        with self._computing(images.device):
            if self._represent is not None:
                return pooled(self._represent(self.module, images)).float()
            self.module(images)
            tapped = self.module.get_submodule(cast(str, self._tap)).__dict__.pop(_TAPPED)
            return pooled(tapped).float()

    def _computing(self, device: torch.device) -> AbstractContextManager[Any]:
        return nullcontext() if self._half is None else torch.autocast(device.type, dtype=self._half)


def _keep_input(module: nn.Module, inputs: Any) -> None:
    module.__dict__[_TAPPED] = inputs[0]


def _keep_output(module: nn.Module, _inputs: Any, output: Any) -> None:
    module.__dict__[_TAPPED] = output[0] if isinstance(output, (tuple, list)) else output


class TrainedWeights:
    """The trained weights of f, and the mode of its layers.

    Trained layers are in training mode (dropout, batch statistics), frozen ones in evaluation mode. Batch normalisation with the running
    statistics of no data, mean 0 and variance 1, is either `untrained` or was folded into the preceding weights. Batch statistics would
    destroy a folded network, so it keeps its own.

    Attributes
    ----------
    stage : the last stage of f, where only that and the layers after it are trained
    names : of the trained parameters
    takes_batch_statistics : whether a batch normalisation is in training mode, which needs two images
    folded_count : number of batch normalisations that are assumed folded
    """

    def __init__(self, representation: Representation, trains: TrainedPart, dry_images: Tensor, *, untrained: bool) -> None:
        self._module = representation.module
        self._trains = trains
        reached = _reached(representation, dry_images, None)
        self.stage = last_stage(self._module, reached) if trains == "last" else None
        if trains == "last":
            self.names = _reached(representation, dry_images, self.stage)
        else:
            self.names = reached if trains == "all" else frozenset()
        for name, parameter in self._module.named_parameters():
            parameter.requires_grad_(name in self.names)
        self._folded = list[nn.Module]()
        self.train()
        norms = [part for part in self._module.modules() if part.training and isinstance(part, _BatchNorm)]
        self.evaluate()
        if not untrained:
            self._folded += [part for part in norms if _is_folded(part)]
        self.takes_batch_statistics = len(norms) > len(self._folded)
        self.folded_count = len(self._folded)

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        """The trained parameters with their names."""
        return [(name, parameter) for name, parameter in self._module.named_parameters() if name in self.names]

    def moving_state(self) -> dict[str, Tensor]:
        """All that training can change: trained parameters, and buffers such as running statistics."""
        buffers = dict(self._module.named_buffers()) if self.names else {}
        return {key: tensor for key, tensor in self._module.state_dict().items() if key in self.names or key in buffers}

    def train(self) -> None:
        """Set the mode for a forward pass with gradients."""
        self._module.train(self._trains == "all")
        if self._trains == "last":
            if self.stage is not None:
                self._module.get_submodule(self.stage).train()
            for name in self.names:
                self._module.get_submodule(name.rpartition(".")[0]).training = True
            self._module.training = False
        for part in self._folded:
            part.training = False

    def evaluate(self) -> None:
        """Set the mode for evaluation."""
        self._module.eval()


def _is_folded(part: _BatchNorm) -> bool:
    if part.running_mean is None or part.running_var is None:
        return False
    return not bool(part.running_mean.any()) and bool((part.running_var - 1).abs().max() <= 2 * part.eps)


def _reached(representation: Representation, images: Tensor, stage: str | None) -> frozenset[str]:
    """Names of the parameters with a gradient from f; with a stage, of those in and after it, found by detaching its inputs."""
    module = representation.module
    kept = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    handle = None
    if stage is not None:
        handle = module.get_submodule(stage).register_forward_pre_hook(_detach_inputs, with_kwargs=True)
    try:
        for parameter, _ in kept:
            parameter.requires_grad_(parameter.is_floating_point())
        with torch.enable_grad():
            representation(images).sum().backward()
        return frozenset(name for name, parameter in module.named_parameters() if parameter.grad is not None)
    finally:
        if handle is not None:
            handle.remove()
        for parameter, required in kept:
            parameter.grad = None
            parameter.requires_grad_(required)


def _detach_inputs(_module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    def without(value: Any) -> Any:
        return value.detach() if isinstance(value, Tensor) else value

    return tuple(without(value) for value in inputs), {name: without(value) for name, value in named.items()}


def last_stage(module: nn.Module, reached: frozenset[str]) -> str:
    """The name of the last stage of a network: the last of several stages, or the last block of a single row of blocks.

    Parameters
    ----------
    reached : names of the parameters of f; a layer with fewer than two weights among them is not a stage
    """
    sizes = {name: parameter.numel() for name, parameter in module.named_parameters() if name in reached and parameter.ndim > 1}

    def beneath(prefix: str) -> list[int]:
        return [size for name, size in sizes.items() if name.startswith(f"{prefix}.")]

    def stages(of: str) -> list[str]:
        names = [f"{of}.{name}" if of else name for name, _ in module.get_submodule(of).named_children()]
        return [name for name in names if len(beneath(name)) > 1]

    def is_row(name: str) -> bool:
        return isinstance(module.get_submodule(name), (nn.Sequential, nn.ModuleList))

    here = ""
    while parts := stages(here):
        last = parts[-1]
        if is_row(last):
            several = [part for part in parts if is_row(part) and len(stages(part)) >= STAGES_AT_LEAST]
            return stages(last)[-1] if several == [last] else last
        if sum(beneath(last)) <= sum(sizes.values()) / 2:
            return last
        here = last
    return here
