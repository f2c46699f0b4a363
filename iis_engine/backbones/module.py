"""Wrap any torch module as a backbone; its representation is the output of a named layer, or the input of the last Linear layer called."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn

from iis_engine.backbones.network import Network
from iis_engine.backbones.preprocessing import ImageTransform
from iis_engine.backbones.torch_backbone import TorchBackbone, require_layer
from iis_engine.errors import ArchitectureError, first_line
from iis_engine.specs import BackboneSpec

_COPY_ERRORS = (RuntimeError, TypeError, AttributeError, ValueError)
_FORWARD_ERRORS = (RuntimeError, ValueError, AssertionError, TypeError, IndexError)


def wrap_module(
    module: nn.Module, transform: ImageTransform, sample: Tensor, *, layer: str | None = None, device: torch.device
) -> TorchBackbone:
    """Copy a module and wrap the copy in evaluation mode as a backbone; the module itself does not change.

    Parameters
    ----------
    transform : preprocessing of its images
    sample : one preprocessed image (channels, H, W), on which the module is run once to find its layers
    layer : name of a submodule, as in `named_modules()`, whose output is the representation, averaged over positions; None for the
        input of the last Linear layer that the forward pass calls, which a note names

    Raises
    ------
    ArchitectureError
        When the module cannot be copied or run, has no such layer, or calls no Linear layer.
    """
    spec = BackboneSpec(type(module).__name__, layer=layer)
    require_layer(spec, module)
    try:
        copied = deepcopy(module).to(device).eval()
    except _COPY_ERRORS as error:
        raise ArchitectureError(
            f"{spec.architecture} cannot be copied ({first_line(error)}); remove tensors with a gradient history from its attributes."
        ) from error
    if layer is not None:
        note = f"The representation is the output of the layer {layer!r} of {spec.architecture}."
        return TorchBackbone(spec, Network(copied, transform, head=(), represent=None, notes=(note,)), device)
    head = last_linear(copied, sample.unsqueeze(0).to(device))
    width = cast(nn.Linear, copied.get_submodule(head)).in_features
    named = f"{head!r} of {spec.architecture}" if head else spec.architecture
    note = f"No layer was named, so the representation is the input of the last Linear layer that is called, {named} ({width} numbers)."
    return TorchBackbone(spec, Network(copied, transform, head=(head,), represent=None, notes=(note,)), device)


def last_linear(module: nn.Module, images: Tensor) -> str:
    """Return the name of the last Linear layer that the forward pass calls; the empty name for the module itself.

    Raises
    ------
    ArchitectureError
        When the forward pass fails or calls no Linear layer.
    """
    called: list[str] = []

    def record(name: str) -> Callable[[nn.Module, Any], None]:
        def hook(_module: nn.Module, _inputs: Any) -> None:
            called.append(name)

        return hook

    linear = {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear)}
    handles = [part.register_forward_pre_hook(record(name)) for name, part in linear.items()]
    try:
        with torch.no_grad():
            module(images)
    except _FORWARD_ERRORS as error:
        shape = " x ".join(map(str, images.shape[1:]))
        raise ArchitectureError(f"{type(module).__name__} rejects an image of {shape}: {first_line(error)}.", param="preprocess") from error
    finally:
        for handle in handles:
            handle.remove()
    if not called:
        raise ArchitectureError(
            f"{type(module).__name__} calls no Linear layer, so its representation is not known; name the layer whose output it is.",
            code="layer_unknown",
            param="layer",
        )
    return called[-1]
