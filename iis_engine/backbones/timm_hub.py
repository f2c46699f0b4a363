"""Load `timm:hf-hub:ORG/NAME`: config.json and model.safetensors of a timm repository on the Hub, as data."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import timm
import torch

from iis_engine.backbones.hub_files import HubRepository
from iis_engine.backbones.torch_backbone import TorchBackbone, load_torch_backbone
from iis_engine.errors import ArchitectureError
from iis_engine.specs import CROP_MODES, INTERPOLATIONS, BackboneSpec, Preprocessing

_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


def load_timm_hub_backbone(spec: BackboneSpec, name: str, device: torch.device) -> TorchBackbone:
    """Build the architecture that config.json names, with its arguments, and load model.safetensors as an uploaded file.

    timm's own loader is not used: it also reads pickles. Settings of the configuration that concern files or addresses are not passed on.

    Raises
    ------
    ArchitectureError, CheckpointError
        For a repository that cannot be read, an unknown architecture, and weights that do not fit.
    """
    repository = HubRepository(name, spec.pretrained)
    config = _read_config(repository.file(_CONFIG), name)
    weights = repository.optional_file(_WEIGHTS)
    if weights is None:
        raise ArchitectureError(
            f"{name} has no {_WEIGHTS} on the Hub; only safetensors are read.", code="checkpoint_empty", param="architecture"
        )
    architecture = config.get("architecture")
    if not isinstance(architecture, str) or not timm.is_model(architecture):
        raise ArchitectureError(
            f"config.json of {name} names the architecture {architecture!r}, which timm does not have.",
            code="architecture_unknown",
            param="architecture",
        )
    arguments = {"num_classes": config.get("num_classes"), **_mapping(config.get("model_args"))}
    named = {key: value for key, value in arguments.items() if value is not None} | spec.arguments
    own = _preprocessing(_mapping(config.get("pretrained_cfg")))
    given = {field.name: value for field in fields(Preprocessing) if (value := getattr(spec.preprocessing, field.name)) is not None}
    built = replace(spec, architecture=f"timm:{architecture}", arguments=named, pretrained=None, preprocessing=Preprocessing(**own | given))
    return load_torch_backbone(built, weights, device, notes=[repository.note, f"The network of {name} is timm:{architecture}."])


def _read_config(path: Path, name: str) -> dict[str, Any]:
    try:
        return _mapping(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise ArchitectureError(f"config.json of {name} is not valid JSON.", param="architecture") from error


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _preprocessing(config: dict[str, Any]) -> dict[str, Any]:
    """Return the preprocessing of a pretrained_cfg; what is not of a known form keeps the architecture's own value."""
    found: dict[str, Any] = {}
    size: Any = config.get("input_size")
    if _are_numbers(size, 3):
        found["input_size"] = (int(size[1]), int(size[2]))
    for key in ("mean", "std"):
        if _are_numbers(config.get(key), 3):
            found[key] = tuple(float(one) for one in config[key])
    if config.get("interpolation") in INTERPOLATIONS:
        found["interpolation"] = config["interpolation"]
    if config.get("crop_mode") in CROP_MODES:
        found["crop_mode"] = config["crop_mode"]
    if isinstance(config.get("crop_pct"), int | float) and 0 < config["crop_pct"] <= 1:
        found["crop_pct"] = float(config["crop_pct"])
    return found


def _are_numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(isinstance(one, int | float) for one in cast("list[Any]", value))
