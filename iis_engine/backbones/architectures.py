"""Networks by name from timm, torchvision and open_clip, without weights or with published ones. Checkpoints are loaded elsewhere."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

import open_clip
import timm
import torch
import torchvision
from open_clip.transform import PreprocessCfg
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from iis_engine.backbones.architecture_errors import built, fetched, require_tag, unknown
from iis_engine.backbones.open_clip_arguments import OPEN_CLIP_ARGUMENTS, TEXT_ARGUMENTS, check_open_clip_arguments
from iis_engine.backbones.preprocessing import ImageTransform, for_channels, scaled_size
from iis_engine.errors import ArchitectureError
from iis_engine.specs import BackboneSpec, VisionLanguageSpec

RESERVED_ARGUMENTS = frozenset(
    (
        *("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_model_args", "pretrained_strict", "pretrained_filter_fn"),
        *("checkpoint_path", "cache_dir", "scriptable", "exportable", "no_jit", "device", "dtype", "pruned", "model_cfg"),
        *("features_only", "feature_cfg", "out_indices", "kwargs_filter"),
        *("weights", "weights_backbone", "progress"),
    )
)
"""Arguments of the libraries' factories that fetch, read files or change what is returned; none of them describes a network."""
DEFAULT_TAG = "default"
"""The pretrained tag that stands for a library's own choice."""

_WIDTH_FIXED_AT_ONE = {
    "mobilenetv1_100": ("timm.models.efficientnet", "_gen_mobilenet_v1"),
    "mobilenetv2_100": ("timm.models.efficientnet", "_gen_mobilenet_v2"),
    "mobilenetv3_large_100": ("timm.models.mobilenetv3", "_gen_mobilenet_v3"),
    "mobilenetv3_small_100": ("timm.models.mobilenetv3", "_gen_mobilenet_v3"),
    "efficientnet_b0": ("timm.models.efficientnet", "_gen_efficientnet"),
}
"""timm's registered functions of these names pass channel_multiplier=1.0 themselves, so that giving it again is a TypeError, and
no registered function takes it. The generators behind them do; they are private to timm, hence this table and a test that watches it."""
_TINY_TEXT_TOWER = {"context_length": 8, "vocab_size": 8, "width": 32, "heads": 1, "layers": 1}


@dataclass(frozen=True)
class Network:
    """A network as its library builds it.

    Attributes
    ----------
    represent : `module` or a copy of it, and images (n, channels, H, W) -> pooled representation, as the library defines it; None: the
        input of `head`
    head : names of the submodules that follow the representation; the first one is the linear layer itself
    key_prefix : what the library's whole-model checkpoints put before the keys of `module`
    idle_arguments : names of arguments that describe another part of the model than `module`
    """

    module: nn.Module
    transform: ImageTransform
    head: tuple[str, ...]
    represent: Callable[[nn.Module, Tensor], Tensor] | None
    key_prefix: str = ""
    idle_arguments: frozenset[str] = frozenset()


def build_network(spec: BackboneSpec) -> Network:
    """Build `timm:NAME`, `torchvision:NAME` or `open_clip:NAME`; with published weights if `spec.pretrained` names a tag.

    Raises
    ------
    ArchitectureError
        For an unknown name, argument or tag, with near names, and for a download that fails.
    """
    family, _, name = spec.architecture.partition(":")
    for argument in spec.arguments:
        if argument in RESERVED_ARGUMENTS or argument.startswith("_"):
            raise ArchitectureError(f"{argument!r} does not describe a network, so it is not accepted as an argument.", param="arguments")
    builders = {"timm": _timm, "torchvision": _torchvision, "open_clip": _open_clip}
    return builders[family](name, dict(spec.arguments), spec.pretrained)


def _timm(name: str, arguments: dict[str, Any], tag: str | None) -> Network:
    if ":" in name or not timm.is_model(name):
        raise unknown("timm", name, timm.list_models())
    full_name = name
    if tag not in {None, DEFAULT_TAG}:
        architecture = name.partition(".")[0]
        tags = [published.partition(".")[2] for published in timm.list_pretrained(f"{architecture}.*")]
        require_tag(f"timm:{architecture}", str(tag), tags)
        full_name = f"{architecture}.{tag}"

    def build() -> nn.Module:
        if "channel_multiplier" in arguments and name in _WIDTH_FIXED_AT_ONE:
            module_name, generator = _WIDTH_FIXED_AT_ONE[name]
            return cast(nn.Module, getattr(importlib.import_module(module_name), generator)(name, **arguments))
        return timm.create_model(full_name, **arguments)

    def known_arguments() -> list[str]:
        with torch.device("meta"):
            default = timm.create_model(name)
        wide = ["channel_multiplier"] if name in _WIDTH_FIXED_AT_ONE else []
        return [*inspect.signature(type(default).__init__).parameters, *wide]

    if tag is None:
        module = built(build, f"timm:{name}", arguments, known_arguments)
    else:
        module = fetched(lambda: timm.create_model(full_name, pretrained=True, **arguments), f"timm:{name}", str(tag))
    channels = arguments.get("in_chans", 3)
    if channels not in (1, 3):
        raise ArchitectureError(f"Images have 1 or 3 channels; in_chans is {json.dumps(channels, default=str)}.", param="arguments")
    config = resolve_model_data_config(module)
    size = cast("tuple[int, int]", tuple(config["input_size"])[1:])
    if isinstance(arguments.get("img_size"), int):
        size = (arguments["img_size"], arguments["img_size"])
    crop_mode = config["crop_mode"] if config["crop_mode"] in {"squash", "border"} else "center"
    transform = ImageTransform(
        input_size=size,
        resize_size=scaled_size(size, config["crop_pct"]),
        mean=for_channels(config["mean"], channels),
        std=for_channels(config["std"], channels),
        interpolation=config["interpolation"],
        crop_mode=crop_mode,
        fill=_colour(config["mean"]),
        channels=channels,
    )
    classifier = cast("dict[str, Any]", module.default_cfg).get("classifier") or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    present = {name for name, _ in module.named_modules()}
    return Network(module, transform, tuple(head for head in heads if head in present), _before_logits)


def _before_logits(module: nn.Module, images: Tensor) -> Tensor:
    network = cast(Any, module)
    return network.forward_head(network.forward_features(images), pre_logits=True)


def _torchvision(name: str, arguments: dict[str, Any], tag: str | None) -> Network:
    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        raise unknown("torchvision", name, names)
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
        module = built(lambda: build(None), f"torchvision:{name}", arguments, known_arguments)
    else:
        module = fetched(lambda: build(weights), f"torchvision:{name}", tag)
    own = weights.transforms()
    size, resize = own.crop_size[0], own.resize_size[0]
    transform = ImageTransform((size, size), (resize, resize), tuple(own.mean), tuple(own.std), own.interpolation.value)
    linear = [layer for layer, part in module.named_modules() if isinstance(part, nn.Linear)]
    convolutional = [layer for layer, part in module.named_modules() if isinstance(part, nn.Conv2d)]
    return Network(module, transform, ((linear or convolutional)[-1],), None)


def _colour(mean: Sequence[float]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * value) for value in mean)
    return red, green, blue


def build_vision_language(spec: VisionLanguageSpec) -> tuple[nn.Module, Network]:
    """Build both towers of `open_clip:NAME`: the whole model with its `encode_text`, and its image tower as a network.

    Raises
    ------
    ArchitectureError
        For an unknown name, argument or tag, with near names, and for a download that fails.
    """
    name = spec.architecture.partition(":")[2]
    check_open_clip(name, spec.arguments)
    model = _clip_model(name, spec.arguments, spec.pretrained, spec.arguments)
    return model, _image_tower(model)


def _open_clip(name: str, arguments: dict[str, Any], tag: str | None) -> Network:
    check_open_clip(name, arguments)
    wanted = arguments
    if tag is None:
        # Only the image tower is used; a small text tower in the other's place saves its memory and its download.
        wanted = {key: value for key, value in arguments.items() if key not in TEXT_ARGUMENTS}
        wanted["text_cfg"] = dict(_TINY_TEXT_TOWER)
    return _image_tower(_clip_model(name, wanted, tag, arguments))


def check_open_clip(name: str, arguments: dict[str, Any]) -> None:
    """Refuse a name or arguments that describe no open_clip network, with an ArchitectureError that names near ones."""
    if name not in open_clip.list_models():
        raise unknown("open_clip", name, open_clip.list_models())
    check_open_clip_arguments(arguments, f"open_clip:{name}")
    trunk = arguments.get("vision_cfg", {}).get("timm_model_name")
    if trunk is not None and (":" in trunk or not timm.is_model(trunk)):
        raise unknown("timm", trunk, timm.list_models())


def _clip_model(name: str, wanted: dict[str, Any], tag: str | None, sent: dict[str, Any]) -> nn.Module:
    """The model of `wanted` arguments; a refusal names those that were `sent`."""
    title = f"open_clip:{name}"
    if tag is None:

        def build() -> nn.Module:
            return open_clip.create_model(name, pretrained_text=False, **deepcopy(wanted))

        return built(build, title, sent, lambda: sorted(OPEN_CLIP_ARGUMENTS))
    tags = open_clip.list_pretrained_tags_by_model(name)
    chosen = (tags[0] if tags else tag) if tag == DEFAULT_TAG else tag
    require_tag(title, chosen, tags)
    return fetched(lambda: open_clip.create_model(name, pretrained=chosen, **deepcopy(wanted)), title, chosen)


def _image_tower(model: nn.Module) -> Network:
    tower = cast(nn.Module, model.visual)
    config = PreprocessCfg(**cast("dict[str, Any]", tower.preprocess_cfg))
    _, height, width = cast("tuple[int, int, int]", config.input_size)
    size = (height, width)
    modes: dict[str, Any] = {"shortest": "center", "longest": "border", "squash": "squash"}
    transform = ImageTransform(
        input_size=size,
        resize_size=size,
        mean=tuple(config.mean),
        std=tuple(config.std),
        interpolation=config.interpolation,
        crop_mode=modes[config.resize_mode],
        fill=(config.fill_color, config.fill_color, config.fill_color),
    )

    return Network(tower, transform, (), _embedding, key_prefix="visual.", idle_arguments=TEXT_ARGUMENTS)


def _embedding(module: nn.Module, images: Tensor) -> Tensor:
    output = module(images)
    return output[0] if isinstance(output, tuple) else output  # a captioner's tower yields its tokens too
