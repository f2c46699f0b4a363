"""Build timm networks with their own preprocessing and pooled representation."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Sequence
from typing import Any, cast

import timm
import torch
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from iis_engine.backbones.architecture_errors import build_checked, download_checked, require_tag, unknown_architecture
from iis_engine.backbones.checkpoints.weights_source import WeightsSource
from iis_engine.backbones.network import Network
from iis_engine.backbones.pooling import TokenLayout
from iis_engine.backbones.preprocessing import ImageTransform, for_channels, scaled_size
from iis_engine.backbones.timm_weights import key_conversion, note_on_tags
from iis_engine.errors import ArchitectureError
from iis_engine.specs import DEFAULT_TAG

_WIDTH_FIXED_AT_ONE = {
    "mobilenetv1_100": ("timm.models.efficientnet", "_gen_mobilenet_v1"),
    "mobilenetv2_100": ("timm.models.efficientnet", "_gen_mobilenet_v2"),
    "mobilenetv3_large_100": ("timm.models.mobilenetv3", "_gen_mobilenet_v3"),
    "mobilenetv3_small_100": ("timm.models.mobilenetv3", "_gen_mobilenet_v3"),
    "efficientnet_b0": ("timm.models.efficientnet", "_gen_efficientnet"),
}
"""Module and private generator of timm's registered functions that pass channel_multiplier=1.0 themselves. Passing it again is a
TypeError, and no registered function accepts it, but the generators do; a test fails when timm renames them."""


def build_timm(name: str, arguments: dict[str, Any], source: WeightsSource) -> Network:
    """Build `timm:NAME`, with the published weights of `source.pretrained` unless it is None.

    Its representation is `forward_head(forward_features(x), pre_logits=True)`.

    Raises
    ------
    ArchitectureError
        For an unknown name, argument or tag, a number of input channels other than 1 or 3, and for a download that fails.
    """
    if ":" in name or not timm.is_model(name):
        raise unknown_architecture("timm", name, timm.list_models())
    full_name = _full_name(name, source.tag)
    if source.pretrained is None:
        module = _build_module(full_name, arguments)
    else:
        module = download_checked(lambda: timm.create_model(full_name, pretrained=True, **arguments), f"timm:{name}", source.pretrained)
    channels = arguments.get("in_chans", 3)
    if channels not in (1, 3):
        raise ArchitectureError(f"Images have 1 or 3 channels; in_chans is {json.dumps(channels, default=str)}.", param="arguments")
    classifier = cast("dict[str, Any]", module.default_cfg).get("classifier") or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    present = {name for name, _ in module.named_modules()}
    pool = getattr(module, "attn_pool", None)
    return Network(
        module,
        timm_transform(module, arguments, channels),
        tuple(head for head in heads if head in present),
        _pooled_features,
        convert=key_conversion(full_name, module),
        tokens=timm_token_layout(module),
        attention_pool="attn_pool" if isinstance(pool, nn.Module) else None,
        notes=(*_notes_on_weights(full_name, module, source), *_notes_on_pooling(name, module)),
    )


def _build_module(name: str, arguments: dict[str, Any]) -> nn.Module:
    def build() -> nn.Module:
        if "channel_multiplier" in arguments and name.partition(".")[0] in _WIDTH_FIXED_AT_ONE:
            module_name, generator = _WIDTH_FIXED_AT_ONE[name.partition(".")[0]]
            return cast(nn.Module, getattr(importlib.import_module(module_name), generator)(name, **arguments))
        return timm.create_model(name, **arguments)

    def known_arguments() -> list[str]:
        with torch.device("meta"):
            default = timm.create_model(name)
        width = ["channel_multiplier"] if name.partition(".")[0] in _WIDTH_FIXED_AT_ONE else []
        return [*inspect.signature(type(default).__init__).parameters, *width]

    return build_checked(build, f"timm:{name}", arguments, known_arguments)


def _full_name(name: str, tag: str | None) -> str:
    """Return NAME.TAG for a tag other than the default one."""
    if tag is None or tag == DEFAULT_TAG:
        return name
    architecture = name.partition(".")[0]
    tags = [published.partition(".")[2] for published in timm.list_pretrained(f"{architecture}.*")]
    require_tag(f"timm:{architecture}", tag, tags)
    return f"{architecture}.{tag}"


def timm_transform(module: nn.Module, arguments: dict[str, Any], channels: int) -> ImageTransform:
    """Return the preprocessing that timm configures for a network.

    Parameters
    ----------
    arguments : of its factory, of which `img_size` overrides the input size
    channels : of its input
    """
    config = resolve_model_data_config(module)
    size = cast("tuple[int, int]", tuple(config["input_size"])[1:])
    requested = arguments.get("img_size")
    if isinstance(requested, int):
        size = (requested, requested)
    elif isinstance(requested, (list, tuple)) and len(cast("list[Any]", requested)) == 2:
        size = cast("tuple[int, int]", tuple(requested))
    return ImageTransform(
        input_size=size,
        resize_size=scaled_size(size, config["crop_pct"]),
        mean=for_channels(config["mean"], channels),
        std=for_channels(config["std"], channels),
        interpolation=config["interpolation"],
        crop_mode=config["crop_mode"] if config["crop_mode"] in {"squash", "border"} else "center",
        fill=_colour(config["mean"]),
        channels=channels,
    )


def _colour(mean: Sequence[float]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * value) for value in mean)
    return red, green, blue


def _pooled_features(module: nn.Module, images: Tensor) -> Tensor:
    network = cast(Any, module)
    return network.forward_head(network.forward_features(images), pre_logits=True)


def timm_token_layout(module: nn.Module) -> TokenLayout:
    """Return the class and register tokens of a timm transformer; none for other networks."""
    network = cast(Any, module)
    prefix = int(getattr(network, "num_prefix_tokens", 0))
    registers = getattr(network, "reg_token", None)
    register_count = int(registers.shape[1]) if isinstance(registers, Tensor) and registers.ndim == 3 else 0
    patch_size: Any = getattr(getattr(network, "patch_embed", None), "patch_size", None)
    known = isinstance(patch_size, (tuple, list)) and len(cast("list[Any]", patch_size)) == 2
    return TokenLayout(max(0, prefix - register_count), register_count, (int(patch_size[0]), int(patch_size[1])) if known else None)


def _notes_on_weights(full_name: str, module: nn.Module, source: WeightsSource) -> tuple[str, ...]:
    if source.pretrained == DEFAULT_TAG:
        return (f"The default weights of timm:{full_name} are used, {cast(Any, module).pretrained_cfg.get('tag') or 'without a tag'}.",)
    return () if source.pretrained is not None or "." in full_name else note_on_tags(full_name, module)


def _notes_on_pooling(name: str, module: nn.Module) -> tuple[str, ...]:
    if "dinov3" not in name or getattr(module, "global_pool", None) != "avg" or not getattr(module, "num_prefix_tokens", 0):
        return ()
    return (
        "timm averages the patch tokens of DINOv3, while its authors use the class token; for theirs, name layer=norm and pooling=class, "
        "or give the argument global_pool=token.",
    )
