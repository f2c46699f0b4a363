"""Build open_clip models: both towers for a vision-language model, or the image tower alone as a backbone's network."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, cast

import open_clip
import timm
from open_clip.transform import PreprocessCfg
from torch import Tensor, nn

from iis_engine.backbones.architecture_errors import build_checked, download_checked, require_tag, unknown_architecture
from iis_engine.backbones.network import DEFAULT_TAG, Network
from iis_engine.backbones.open_clip_arguments import OPEN_CLIP_ARGUMENTS, TEXT_ARGUMENTS, check_argument_values
from iis_engine.backbones.preprocessing import ImageTransform
from iis_engine.specs import VisionLanguageSpec

_TINY_TEXT_TOWER = {"context_length": 8, "vocab_size": 8, "width": 32, "heads": 1, "layers": 1}


def build_vision_language(spec: VisionLanguageSpec) -> tuple[nn.Module, Network]:
    """Build both towers of `open_clip:NAME`: the whole model with its `encode_text`, and its image tower as a network.

    Raises
    ------
    ArchitectureError
        For an unknown name, argument or tag, with similar names, and for a download that fails.
    """
    name = spec.architecture.partition(":")[2]
    check_open_clip(name, spec.arguments)
    model = _build_model(name, spec.arguments, spec.pretrained, spec.arguments)
    return model, _image_tower(model)


def build_image_tower(name: str, arguments: dict[str, Any], tag: str | None) -> Network:
    """Build the image tower of `open_clip:NAME`, with the published weights of `tag` unless it is None.

    Raises
    ------
    ArchitectureError
        For an unknown name, argument or tag, with similar names, and for a download that fails.
    """
    check_open_clip(name, arguments)
    used = arguments
    if tag is None:
        # The text tower is not used: a tiny one in its place saves memory and downloads.
        used = {key: value for key, value in arguments.items() if key not in TEXT_ARGUMENTS}
        used["text_cfg"] = dict(_TINY_TEXT_TOWER)
    return _image_tower(_build_model(name, used, tag, arguments))


def check_open_clip(name: str, arguments: dict[str, Any]) -> None:
    """Check the architecture's name and its arguments.

    Raises
    ------
    ArchitectureError
        For an unknown name, argument or timm trunk, with similar names, and for a value of the wrong type or range.
    """
    if name not in open_clip.list_models():
        raise unknown_architecture("open_clip", name, open_clip.list_models())
    check_argument_values(arguments, f"open_clip:{name}")
    trunk = arguments.get("vision_cfg", {}).get("timm_model_name")
    if trunk is not None and (":" in trunk or not timm.is_model(trunk)):
        raise unknown_architecture("timm", trunk, timm.list_models())


def _build_model(name: str, used: dict[str, Any], tag: str | None, requested: dict[str, Any]) -> nn.Module:
    """Build the model with the arguments `used`; an error quotes those `requested`."""
    title = f"open_clip:{name}"
    if tag is None:

        def build() -> nn.Module:
            return open_clip.create_model(name, pretrained_text=False, **deepcopy(used))

        return build_checked(build, title, requested, lambda: sorted(OPEN_CLIP_ARGUMENTS))
    tags = open_clip.list_pretrained_tags_by_model(name)
    chosen = (tags[0] if tags else tag) if tag == DEFAULT_TAG else tag
    require_tag(title, chosen, tags)
    return download_checked(lambda: open_clip.create_model(name, pretrained=chosen, **deepcopy(used)), title, chosen)


def _image_tower(model: nn.Module) -> Network:
    tower = cast(nn.Module, model.visual)
    config = PreprocessCfg(**cast("dict[str, Any]", tower.preprocess_cfg))
    _, height, width = cast("tuple[int, int, int]", config.input_size)
    size = (height, width)
    crop_modes: dict[str, Any] = {"shortest": "center", "longest": "border", "squash": "squash"}
    transform = ImageTransform(
        input_size=size,
        resize_size=size,
        mean=tuple(config.mean),
        std=tuple(config.std),
        interpolation=config.interpolation,
        crop_mode=crop_modes[config.resize_mode],
        fill=(config.fill_color, config.fill_color, config.fill_color),
    )
    return Network(tower, transform, (), _embedding, key_prefix="visual.", idle_arguments=TEXT_ARGUMENTS)


def _embedding(module: nn.Module, images: Tensor) -> Tensor:
    output = module(images)
    return output[0] if isinstance(output, tuple) else output  # the image tower of a captioning model returns its tokens too
