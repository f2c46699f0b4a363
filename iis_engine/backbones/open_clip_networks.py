"""Build open_clip models: both towers for a vision-language model, or the image tower alone as a backbone's network."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any, cast

import open_clip
import timm
from open_clip.timm_model import TimmModel
from open_clip.transform import PreprocessCfg
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from iis_engine.backbones.architecture_errors import build_checked, download_checked, unknown_architecture
from iis_engine.backbones.checkpoints.state_dicts import StateDict
from iis_engine.backbones.checkpoints.weights_source import WeightsSource
from iis_engine.backbones.network import Network
from iis_engine.backbones.open_clip_arguments import OPEN_CLIP_ARGUMENTS, TEXT_ARGUMENTS, check_argument_values
from iis_engine.backbones.open_clip_weights import WeightsSettings, weights_settings
from iis_engine.backbones.pooling import TokenLayout
from iis_engine.backbones.preprocessing import ImageTransform
from iis_engine.backbones.timm_networks import timm_token_layout
from iis_engine.specs import VisionLanguageSpec

_LOADED_LATER = ("No pretrained weights loaded", "Model ")
"""Beginnings of open_clip's warnings that a model has no weights yet."""
_TINY_TEXT_TOWER = {"context_length": 8, "vocab_size": 8, "width": 32, "heads": 1, "layers": 1}


def build_vision_language(spec: VisionLanguageSpec, state_dicts: Sequence[StateDict] = ()) -> tuple[nn.Module, Network]:
    """Build both towers of `open_clip:NAME`: the whole model with its `encode_text`, and its image tower as a network.

    Parameters
    ----------
    state_dicts : content of the checkpoint file, which can show the activation of its network; it is not loaded

    Raises
    ------
    ArchitectureError
        For an unknown name, argument or tag, with similar names, and for a download that fails.
    """
    name = spec.architecture.partition(":")[2]
    check_open_clip(name, spec.arguments)
    settings = weights_settings(name, spec.arguments, WeightsSource(spec.pretrained, spec.weights_of, state_dicts))
    return _build_towers(name, spec.arguments, settings, spec.arguments)


def build_image_tower(name: str, arguments: dict[str, Any], source: WeightsSource) -> Network:
    """Build the image tower of `open_clip:NAME`, with the published weights of `source.pretrained` unless it is None.

    Raises
    ------
    ArchitectureError
        For an unknown name, argument or tag, with similar names, and for a download that fails.
    """
    check_open_clip(name, arguments)
    settings, used = weights_settings(name, arguments, source), arguments
    if settings.tag is None:
        # The text tower is not used: a tiny one in its place saves memory and downloads.
        used = {key: value for key, value in arguments.items() if key not in TEXT_ARGUMENTS}
        used["text_cfg"] = dict(_TINY_TEXT_TOWER)
    return _build_towers(name, used, settings, arguments)[1]


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


def _build_towers(name: str, used: dict[str, Any], settings: WeightsSettings, requested: dict[str, Any]) -> tuple[nn.Module, Network]:
    """Build the model with the arguments `used`; an error quotes those `requested`."""
    title, choices = f"open_clip:{name}", {"force_quick_gelu": True} if settings.quick_gelu else dict[str, Any]()
    preprocess = settings.preprocessing or None

    def create(**more: Any) -> nn.Module:
        return open_clip.create_model(name, force_preprocess_cfg=preprocess, **more, **choices, **deepcopy(used))

    with _recorded_warnings() as warned:
        if settings.tag is None:
            model = build_checked(lambda: create(pretrained_text=False), title, requested, lambda: sorted(OPEN_CLIP_ARGUMENTS))
        else:
            model = download_checked(lambda: create(pretrained=settings.tag), title, settings.tag)
    tower = _image_tower(model)
    return model, replace(tower, choices=choices, notes=(*settings.notes, *warned))


@contextmanager
def _recorded_warnings() -> Generator[list[str]]:
    """Append the warnings that open_clip logs to the yielded list, without those on weights that are loaded later."""
    sentences = list[str]()

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if "open_clip" in record.pathname and not message.startswith(_LOADED_LATER):
                sentences.append(f"open_clip: {message}")

    recorder = Recorder(logging.WARNING)
    logging.getLogger().addHandler(recorder)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield sentences
    finally:
        logging.getLogger().removeHandler(recorder)
    sentences.extend(f"open_clip: {one.message}" for one in caught if "open_clip" in one.filename)


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
    pool = getattr(getattr(tower, "trunk", None), "attn_pool", None)
    return Network(
        tower,
        transform,
        (),
        _embedding,
        key_prefix="visual.",
        idle_arguments=TEXT_ARGUMENTS,
        tokens=_token_layout(tower),
        attention_pool="trunk.attn_pool" if isinstance(pool, nn.Module) else None,
    )


def _embedding(module: nn.Module, images: Tensor) -> Tensor:
    output = module(images)
    return output[0] if isinstance(output, tuple) else output  # the image tower of a captioning model returns its tokens too


def _token_layout(tower: nn.Module) -> TokenLayout:
    if isinstance(tower, VisionTransformer):
        height, width = cast(Any, tower).patch_size
        return TokenLayout(class_tokens=1, patch_size=(height, width))
    return timm_token_layout(tower.trunk) if isinstance(tower, TimmModel) else TokenLayout()
