"""Check the arguments of an open_clip network against a list of allowed names, types and ranges.

The names are those of `open_clip.create_model` and of the fields of its CLIPVisionCfg and CLIPTextCfg, without those that download
weights, refer to a hub or change the return type of a tower.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

from iis_engine.backbones.architecture_errors import suggestion
from iis_engine.errors import ArchitectureError

_COUNT_MAX = 1_000_000

_Rule = tuple[Callable[[object], bool], str]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _COUNT_MAX


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _list_of_counts(length: int) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        if not isinstance(value, (list, tuple)):
            return False
        entries = cast("tuple[object, ...]", value)
        return len(entries) == length and all(_is_count(entry) for entry in entries)

    return check


def _object_of(name: str, rule: _Rule) -> _Rule:
    def check(value: object) -> bool:
        return isinstance(value, Mapping) and all(key == name and rule[0](one) for key, one in cast("Mapping[Any, object]", value).items())

    return check, f"an object with the only key {name}, {rule[1]}"


def _either(first: _Rule, second: _Rule) -> _Rule:
    return (lambda value: first[0](value) or second[0](value)), f"{first[1]} or {second[1]}"


_COUNT: _Rule = (_is_count, f"a whole number from 1 to {_COUNT_MAX:,}")
_TOKEN: _Rule = (lambda value: value == 0 or _is_count(value), f"a whole number from 0 to {_COUNT_MAX:,}")
_NUMBER: _Rule = (_is_number, "a number")
_SWITCH: _Rule = (lambda value: isinstance(value, bool), "true or false")
_NAME: _Rule = (lambda value: isinstance(value, str), "a name")
_NULL: _Rule = (lambda value: value is None, "null")
_SIZE = _either(_COUNT, (_list_of_counts(2), "a list of two such"))

_TRANSFORMER: dict[str, _Rule] = {
    "width": _COUNT,
    "mlp_ratio": _NUMBER,
    "ls_init_value": _either(_NUMBER, _NULL),
    "final_ln_after_pool": _SWITCH,
    "pool_type": _NAME,
    "act_kwargs": _either(_object_of("approximate", _NAME), _NULL),
    "norm_kwargs": _either(_object_of("eps", _NUMBER), _NULL),
    "block_type": _either(_NAME, _NULL),
    **dict.fromkeys(("qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc"), _SWITCH),
}
_VISION_FIELDS: dict[str, _Rule] = {
    **_TRANSFORMER,
    "layers": _either(_COUNT, (_list_of_counts(4), "a list of four such")),
    "head_width": _COUNT,
    "patch_size": _COUNT,
    "image_size": _SIZE,
    "patch_dropout": _NUMBER,
    "attentional_pool": _SWITCH,
    "attn_pooler_queries": _COUNT,
    "attn_pooler_heads": _COUNT,
    "no_ln_pre": _SWITCH,
    "pos_embed_type": _NAME,
    "timm_model_name": _NAME,
    "timm_pool": _NAME,
    "timm_proj": _NAME,
    "timm_proj_bias": _SWITCH,
    "timm_drop": _NUMBER,
    "timm_drop_path": _either(_NUMBER, _NULL),
}
_TEXT_FIELDS: dict[str, _Rule] = {
    **_TRANSFORMER,
    "context_length": _COUNT,
    "vocab_size": _COUNT,
    "heads": _COUNT,
    "layers": _COUNT,
    "embed_cls": _SWITCH,
    "pad_id": _TOKEN,
    "eos_id": _TOKEN,
    "no_causal_mask": _SWITCH,
    "proj_bias": _SWITCH,
    "proj_type": _NAME,
}
_ARGUMENTS: dict[str, _Rule] = {
    "embed_dim": _COUNT,
    "vision_cfg": (lambda value: isinstance(value, Mapping), "an object that describes the image tower"),
    "text_cfg": (lambda value: isinstance(value, Mapping), "an object that describes the text tower"),
    "force_image_size": _SIZE,
    "force_context_length": _COUNT,
    "force_quick_gelu": _SWITCH,
    "force_patch_dropout": _NUMBER,
}
OPEN_CLIP_ARGUMENTS = frozenset(_ARGUMENTS)
TEXT_ARGUMENTS = frozenset({"text_cfg", "force_context_length"})
"""Arguments that do not change the image tower."""
_OVERRIDES = {"force_image_size": "vision_cfg", "force_patch_dropout": "vision_cfg", "force_context_length": "text_cfg"}


def check_argument_values(arguments: Mapping[str, Any], title: str) -> None:
    """Check each argument's name and value.

    Parameters
    ----------
    title : name of the network in the message

    Raises
    ------
    ArchitectureError
        For an unknown name, with similar ones, or a value of the wrong type or range. The message names the argument or field.
    """
    _check(arguments, _ARGUMENTS, title, "argument", "")
    _check(arguments.get("vision_cfg", {}), _VISION_FIELDS, title, "field", "vision_cfg.")
    _check(arguments.get("text_cfg", {}), _TEXT_FIELDS, title, "field", "text_cfg.")
    for argument, inside in _OVERRIDES.items():
        if argument in arguments and inside in arguments:
            field = argument.removeprefix("force_")
            raise ArchitectureError(f"{inside} configures the whole tower; give {inside}.{field} instead of {argument}.", param="arguments")


def _check(values: Mapping[str, Any], rules: Mapping[str, _Rule], title: str, kind: str, prefix: str) -> None:
    for name, value in values.items():
        if name not in rules:
            similar = suggestion(name, rules, prefix=prefix)
            raise ArchitectureError(f"{title} has no {kind} {prefix + name!r}{similar}.", param="arguments")
        is_allowed, description = rules[name]
        if not is_allowed(value):
            given = json.dumps(value, default=str)[:80]
            raise ArchitectureError(f"The {kind} {prefix}{name} of {title} must be {description}; it is {given}.", param="arguments")
