"""timm's published weights: renaming of their keys before loading, and the tags of one name whose preprocessing differs."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import timm
from timm.data.config import resolve_data_config
from torch import Tensor, nn

from iis_engine.backbones.checkpoints.weights import KeyConversion
from iis_engine.errors import first_names

_FILTERS = ("checkpoint_filter_fn", "checkpoint_filter_fn_classifier", "_filter_fn", "_filter_torchvision_pretrained")
"""Names under which timm's modules define their conversion; timm keeps no public list. A test fails when timm renames them."""
_TAGS_LISTED_MAX = 6


def key_conversion(name: str, module: nn.Module) -> KeyConversion | None:
    """Return the conversion that timm applies to the keys of published files of `timm:NAME`, or None if it has none."""
    source = sys.modules[timm.model_entrypoint(name).__module__]
    found = next((one for one in (getattr(source, filter_name, None) for filter_name in _FILTERS) if callable(one)), None)
    if found is None:
        return None
    convert = cast("Callable[..., Any]", found)
    parameters = inspect.signature(convert).parameters
    if "adapt_layer_scale" in parameters:
        convert = partial(convert, adapt_layer_scale=True)

    def run(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        converted = convert(weights, module) if "model" in parameters else convert(weights)
        return {key: value for key, value in cast("dict[str, Any]", converted).items() if isinstance(value, Tensor)}

    return run


def note_on_tags(name: str, module: nn.Module) -> tuple[str, ...]:
    """Return a note if published weights of the name differ in preprocessing from the ones whose preprocessing is used."""
    used = cast(Any, module).pretrained_cfg
    published = {tag.partition(".")[2]: timm.get_pretrained_cfg(tag) for tag in timm.list_pretrained(f"{name}.*")}
    own = _preprocessing(used)
    others = [tag for tag, config in published.items() if config is not None and _preprocessing(config.to_dict()) != own]
    if not others:
        return ()
    tag = used.get("tag") or "default"
    return (
        f"The preprocessing is that of the published weights {tag} (mean {_numbers(own['mean'])}, std {_numbers(own['std'])}); it differs "
        f"for the tags {first_names(others, _TAGS_LISTED_MAX)}. If the weights come from one of these, write timm:{name}.TAG or name it as "
        "weights_of.",
    )


def _preprocessing(config: dict[str, Any]) -> dict[str, Any]:
    return resolve_data_config(pretrained_cfg=config)


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
