"""Build torchvision networks with their own preprocessing."""

from __future__ import annotations

import inspect
import re
from typing import Any, cast

import torch
import torchvision
from torch import Tensor, nn

from iis_engine.backbones.architecture_errors import build_checked, download_checked, require_tag, unknown_architecture
from iis_engine.backbones.checkpoints.weights_source import WeightsSource
from iis_engine.backbones.network import Network
from iis_engine.backbones.pooling import TokenLayout
from iis_engine.backbones.preprocessing import ImageTransform
from iis_engine.specs import DEFAULT_TAG

_RENAMED_KEYS = (
    (re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.(\d)\."), r"\1\2."),
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
)
"""Keys of torchvision's published DenseNet and ViT files, which its networks rename as they load them."""
_AUXILIARY_HEADS = ("AuxLogits", "aux1", "aux2")
"""Classifiers of Inception and GoogLeNet for training, beside the way to the representation."""
_INPUT_TRANSFORMED = ("inception_v3", "googlenet")
"""Networks whose published weights expect `transform_input=True`, which torchvision sets with them."""


def build_torchvision(name: str, arguments: dict[str, Any], source: WeightsSource) -> Network:
    """Build `torchvision:NAME`, with the published weights of `source.pretrained` unless it is None.

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
    tag = source.tag
    if tag is not None and tag.lower() != DEFAULT_TAG:
        require_tag(f"torchvision:{name}", tag.upper(), [weights.name for weights in published])
    weights = torchvision.models.get_model_weights(name)[tag.upper()] if tag else published[0]
    notes, choices = list[str](), dict[str, Any]()
    if tag is None:
        notes += _note_on_tags(name, published)
    elif source.pretrained == DEFAULT_TAG:
        notes.append(f"The default weights of torchvision:{name} are used, {weights.name}.")
    if name in _INPUT_TRANSFORMED and source.pretrained is None and "transform_input" not in arguments:
        if source.weights_of is not None:
            choices["transform_input"] = True
        else:
            notes.append(
                f"torchvision's published weights of {name} are used with transform_input=true, which is false here; "
                "for these weights and those trained from them, give the argument transform_input=true."
            )

    def known_arguments() -> list[str]:
        with torch.device("meta"):
            default = torchvision.models.get_model(name, weights=None)
        return list(inspect.signature(type(default).__init__).parameters)

    def build(chosen: Any) -> nn.Module:
        return torchvision.models.get_model(name, weights=chosen, progress=False, **(arguments | choices))

    if source.pretrained is None:
        module = build_checked(lambda: build(None), f"torchvision:{name}", arguments, known_arguments)
    else:
        module = download_checked(lambda: build(weights), f"torchvision:{name}", source.pretrained)
    linear = [layer for layer, part in module.named_modules() if isinstance(part, nn.Linear)]
    convolutional = [layer for layer, part in module.named_modules() if isinstance(part, nn.Conv2d)]
    auxiliary = tuple(head for head in _AUXILIARY_HEADS if isinstance(getattr(module, head, None), nn.Module))
    main = [layer for layer in linear or convolutional if not layer.startswith(auxiliary)] if auxiliary else linear or convolutional
    return Network(
        module,
        _transform(weights),
        (main[-1], *auxiliary),
        None,
        convert=_rename_keys,
        tokens=_token_layout(module),
        choices=choices,
        notes=tuple(notes),
    )


def _transform(weights: Any) -> ImageTransform:
    own = weights.transforms()
    size, resize = own.crop_size[0], own.resize_size[0]
    return ImageTransform((size, size), (resize, resize), tuple(own.mean), tuple(own.std), own.interpolation.value)


def _note_on_tags(name: str, published: list[Any]) -> list[str]:
    used = _transform(published[0])
    others = [weights.name for weights in published[1:] if _transform(weights) != used]
    if not others:
        return []
    return [
        f"The preprocessing of the published weights {published[0].name} of torchvision:{name} is used; that of {', '.join(others)} "
        "differs. Name the weights that yours come from as weights_of."
    ]


def _rename_keys(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = dict[str, Tensor]()
    for key, tensor in weights.items():
        for pattern, replacement in _RENAMED_KEYS:
            key = pattern.sub(replacement, key)  # noqa: PLW2901
        renamed[key] = tensor
    return renamed


def _token_layout(module: nn.Module) -> TokenLayout:
    if not isinstance(module, torchvision.models.VisionTransformer):
        return TokenLayout()
    side = cast(Any, module).patch_size
    return TokenLayout(class_tokens=1, patch_size=(side, side))
