"""Build torchvision networks with their own preprocessing."""

from __future__ import annotations

import inspect
from typing import Any

import torch
import torchvision
from torch import nn

from iis_engine.backbones.architecture_errors import build_checked, download_checked, require_tag, unknown_architecture
from iis_engine.backbones.network import DEFAULT_TAG, Network
from iis_engine.backbones.preprocessing import ImageTransform


def build_torchvision(name: str, arguments: dict[str, Any], tag: str | None) -> Network:
    """Build `torchvision:NAME`, with the published weights of `tag` unless it is None.

    Its representation is the input of its last linear layer, or of its last convolution where it has no linear layer.

    Raises
    ------
    ArchitectureError
        For an unknown name, argument or tag, and for a download that fails.
    """
    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        raise unknown_architecture("torchvision", name, names)
    published = list(torchvision.models.get_model_weights(name))
    if tag is not None and tag.lower() != DEFAULT_TAG:
        require_tag(f"torchvision:{name}", tag.upper(), [weights.name for weights in published])
    weights = torchvision.models.get_model_weights(name)[tag.upper()] if tag else published[0]

    def known_arguments() -> list[str]:
        with torch.device("meta"):
            default = torchvision.models.get_model(name, weights=None)
        return list(inspect.signature(type(default).__init__).parameters)

    def build(chosen: Any) -> nn.Module:
        return torchvision.models.get_model(name, weights=chosen, progress=False, **arguments)

    if tag is None:
        module = build_checked(lambda: build(None), f"torchvision:{name}", arguments, known_arguments)
    else:
        module = download_checked(lambda: build(weights), f"torchvision:{name}", tag)
    own = weights.transforms()
    size, resize = own.crop_size[0], own.resize_size[0]
    transform = ImageTransform((size, size), (resize, resize), tuple(own.mean), tuple(own.std), own.interpolation.value)
    linear = [layer for layer, part in module.named_modules() if isinstance(part, nn.Linear)]
    convolutional = [layer for layer, part in module.named_modules() if isinstance(part, nn.Conv2d)]
    return Network(module, transform, ((linear or convolutional)[-1],), None)
