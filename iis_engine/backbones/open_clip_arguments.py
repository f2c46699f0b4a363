"""The arguments that describe an open_clip network, and what each may be. Networks are built elsewhere.

The names are those of `open_clip.create_model` and of the fields of its CLIPVisionCfg and CLIPTextCfg; fields that fetch weights, name
things on a hub, or change what a tower returns are not among them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, cast

from iis_engine.errors import ArchitectureError

WHOLE_NUMBERS_UP_TO = 1_000_000

_Rule = tuple[Callable[[object], bool], str]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= WHOLE_NUMBERS_UP_TO


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

    return check, f"an object with nothing but {name}, {rule[1]}"


def _either(first: _Rule, second: _Rule) -> _Rule:
    return (lambda value: first[0](value) or second[0](value)), f"{first[1]} or {second[1]}"


_COUNT: _Rule = (_is_count, f"a whole number from 1 to {WHOLE_NUMBERS_UP_TO:,}")
_TOKEN: _Rule = (lambda value: value == 0 or _is_count(value), f"a whole number from 0 to {WHOLE_NUMBERS_UP_TO:,}")
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
VISION_FIELDS: dict[str, _Rule] = {
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
TEXT_FIELDS: dict[str, _Rule] = {
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
"""Arguments that leave the image tower as it is."""
_OVERRIDDEN = {"force_image_size": "vision_cfg", "force_patch_dropout": "vision_cfg", "force_context_length": "text_cfg"}


def check_open_clip_arguments(arguments: Mapping[str, Any], title: str) -> None:
    """Refuse arguments that open_clip does not know, and values that are none of theirs.

    Raises
    ------
    ArchitectureError
        Naming the argument or the field of an object, and what it may be.
    """
    _check(arguments, _ARGUMENTS, title, "argument", "")
    _check(arguments.get("vision_cfg", {}), VISION_FIELDS, title, "field", "vision_cfg.")
    _check(arguments.get("text_cfg", {}), TEXT_FIELDS, title, "field", "text_cfg.")
    for argument, inside in _OVERRIDDEN.items():
        if argument in arguments and inside in arguments:
            field = argument.removeprefix("force_")
            raise ArchitectureError(f"Give {inside}.{field} in place of {argument}: {inside} describes the whole tower.", param="arguments")


def _check(values: Mapping[str, Any], rules: Mapping[str, _Rule], title: str, kind: str, prefix: str) -> None:
    for name, value in values.items():
        if name not in rules:
            close = get_close_matches(name, rules, n=4, cutoff=0.5)
            hint = f" Near it: {', '.join(prefix + one for one in close)}." if close else ""
            raise ArchitectureError(f"{title} has no {kind} {prefix + name!r}.{hint}", param="arguments")
        allowed, words = rules[name]
        if not allowed(value):
            sent = json.dumps(value, default=str)[:80]
            raise ArchitectureError(f"The {kind} {prefix}{name} of {title} must be {words}; it is {sent}.", param="arguments")
