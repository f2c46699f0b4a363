"""Activation and preprocessing of open_clip weights: decided by the tag, by the file, or by what all published tags of a name share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import open_clip
from open_clip.pretrained import get_pretrained_cfg
from open_clip.transform import PreprocessCfg

from iis_engine.backbones.architecture_errors import require_tag
from iis_engine.backbones.checkpoints.state_dicts import StateDict
from iis_engine.backbones.checkpoints.weights_source import WeightsSource
from iis_engine.errors import first_names
from iis_engine.specs import DEFAULT_TAG

OPENAI_NUMBERS = frozenset({"input_resolution", "context_length", "vocab_size"})
"""Keys of three numbers that only OpenAI's files have beside the weights."""
_PREPROCESSING_FIELDS = ("mean", "std", "interpolation", "resize_mode")
_TAGS_LISTED_MAX = 6


@dataclass(frozen=True)
class WeightsSettings:
    """Settings of an open_clip model that its weights decide.

    Attributes
    ----------
    tag : tag of the weights to download, with `default` resolved; None for a file or initial weights
    quick_gelu : whether the activation is QuickGELU although the architecture's configuration does not say so
    preprocessing : values that differ from open_clip's defaults
    notes : sentences about the choice
    """

    tag: str | None
    quick_gelu: bool = False
    preprocessing: dict[str, Any] = field(default_factory=dict[str, Any])
    notes: tuple[str, ...] = ()


def weights_settings(name: str, arguments: dict[str, Any], source: WeightsSource) -> WeightsSettings:
    """Choose activation and preprocessing for `open_clip:NAME`. An argument `force_quick_gelu` decides the activation alone.

    Raises
    ------
    ArchitectureError
        For a tag that open_clip does not have.
    """
    tags = open_clip.list_pretrained_tags_by_model(name)
    tag, pretrained = (_resolved(one, name, tags) for one in (source.tag, source.pretrained))
    if tag is not None:
        config = get_pretrained_cfg(name, tag)
        chosen = (f"The default weights of open_clip:{name} are used, {tag}.",) if source.pretrained == DEFAULT_TAG else ()
        return WeightsSettings(pretrained, _is_quick(config, name, arguments), _preprocessing(config), chosen)
    if _is_openai(source.state_dicts):
        sentence = (
            "The keys input_resolution, context_length and vocab_size show that the weights are OpenAI's or were trained from them, "
            "so QuickGELU and OpenAI's preprocessing are used."
        )
        return WeightsSettings(None, _is_quick({"quick_gelu": True}, name, arguments), notes=(sentence,))
    return _shared_settings(name, arguments, {one: get_pretrained_cfg(name, one) for one in tags})


def without_openai_numbers(state_dicts: Sequence[StateDict]) -> list[StateDict]:
    """Remove the three numbers that OpenAI's files have beside the weights."""
    return [
        StateDict(one.location, {key: tensor for key, tensor in one.weights.items() if key.rpartition(".")[2] not in OPENAI_NUMBERS})
        for one in state_dicts
    ]


def _resolved(tag: str | None, name: str, tags: list[str]) -> str | None:
    if tag is None:
        return None
    chosen = (tags[0] if tags else tag) if tag == DEFAULT_TAG else tag
    require_tag(f"open_clip:{name}", chosen, tags)
    return chosen


def _is_openai(state_dicts: Sequence[StateDict]) -> bool:
    return any({key.rpartition(".")[2] for key in one.weights} >= OPENAI_NUMBERS for one in state_dicts)


def _is_quick(config: dict[str, Any], name: str, arguments: dict[str, Any]) -> bool:
    """Whether QuickGELU must be requested: the weights use it, and neither the configuration nor an argument decides it."""
    own = cast("dict[str, Any]", open_clip.get_model_config(name)).get("quick_gelu", False)
    return bool(config.get("quick_gelu", False)) and not own and "force_quick_gelu" not in arguments


def _preprocessing(config: dict[str, Any]) -> dict[str, Any]:
    default = PreprocessCfg()
    return {
        name: value
        for name in _PREPROCESSING_FIELDS
        if (value := config.get(name)) is not None and _plain(value) != _plain(getattr(default, name))
    }


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _shared_settings(name: str, arguments: dict[str, Any], configs: dict[str, dict[str, Any]]) -> WeightsSettings:
    """Return the settings that all published tags of a name share; where they differ, open_clip's defaults and a note."""
    if not configs:
        return WeightsSettings(None)
    title, advice = f"open_clip:{name}", "name the weights that yours come from as weights_of"
    activations = {tag: _is_quick(config, name, arguments) for tag, config in configs.items()}
    preprocessings = {tag: _preprocessing(config) for tag, config in configs.items()}
    notes = list[str]()
    quick = all(activations.values())
    if quick:
        notes.append(f"All published weights of {title} use QuickGELU, so it is used; force_quick_gelu=false selects GELU.")
    elif any(activations.values()):
        users = first_names([tag for tag, is_quick in activations.items() if is_quick], _TAGS_LISTED_MAX)
        notes.append(f"GELU was assumed, but these published weights of {title} use QuickGELU: {users}. If yours come from one, {advice}.")
    first = next(iter(preprocessings.values()))
    shared = all(one == first for one in preprocessings.values())
    if shared and first:
        notes.append(f"The preprocessing that all published weights of {title} share is used: {_listed(first)}.")
    elif not shared:
        users = first_names([tag for tag, one in preprocessings.items() if one], _TAGS_LISTED_MAX)
        notes.append(
            f"open_clip's default preprocessing was assumed, but these published weights of {title} have another: {users}. "
            f"If yours come from one, {advice}."
        )
    return WeightsSettings(None, quick, first if shared else {}, tuple(notes))


def _listed(preprocessing: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {' '.join(f'{one:g}' for one in value) if isinstance(value, (tuple, list)) else value}"
        for name, value in preprocessing.items()
    )
