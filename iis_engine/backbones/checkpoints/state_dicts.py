"""Find the state dicts in the content of a checkpoint file, and order them and the networks under their prefixes by preference."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor

_DEPTH_MAX = 4
"""Nested dictionaries that are searched; training scripts use one or two, and a pickled dictionary can contain itself."""
_DICTIONARIES_MAX = 2_000
"""Dictionaries that are searched; an optimiser's state has one for each of its parameters."""
_WRAPPED_SEGMENTS = re.compile(r"(?<![^.])(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""Names that torch.compile, FSDP and activation checkpointing insert into keys, at any depth."""
_PREFERRED = (
    re.compile(r"(?:^|[._])ema(?:$|[._])"),  # averages of the weights over training steps, which timm prefers too
    re.compile(r"(?:^|[._])teacher(?:$|[._])"),  # DINO's network for later use
)
_MOMENTUM = re.compile(r"(?:^|[._])(?:momentum|target|encoder_k|key_encoder)")
"""Copies that follow the trained network of contrastive methods, which is the one for later use."""


@dataclass(frozen=True)
class StateDict:
    """Tensors by key.

    Attributes
    ----------
    location : keys of the dictionaries around it, joined by dots; empty for the outermost one
    """

    location: str
    weights: dict[str, Tensor]


def find_state_dicts(stored: Mapping[Any, object]) -> list[StateDict]:
    """Return each dictionary that has tensors, the preferred ones first: EMA weights, a teacher's, then the order of the file.

    Names that torch.compile and FSDP insert into keys are removed.
    """
    found = list[StateDict]()
    waiting = deque([("", 0, stored)])
    seen = {id(stored)}
    while waiting and len(seen) <= _DICTIONARIES_MAX:
        location, depth, entries = waiting.popleft()
        tensors = {_WRAPPED_SEGMENTS.sub("", str(key)): value for key, value in entries.items() if isinstance(value, Tensor)}
        if tensors:
            found.append(StateDict(location, tensors))
        for key, value in entries.items():
            if isinstance(value, Mapping) and depth < _DEPTH_MAX and id(cast(object, value)) not in seen:
                seen.add(id(cast(object, value)))
                waiting.append((f"{location}.{key}" if location else str(key), depth + 1, cast("Mapping[Any, object]", value)))
    return sorted(found, key=lambda state_dict: preference(state_dict.location))


def preference(location: str) -> int:
    """Return the rank of the weights at a location among several networks in one file; 0 is taken first."""
    for rank, pattern in enumerate(_PREFERRED):
        if pattern.search(location):
            return rank
    return len(_PREFERRED) + (1 if _MOMENTUM.search(location) else 0)


def prefixes(keys: Iterable[str], least: int) -> list[str]:
    """Return the prefixes (ending in a dot, or empty) of at least `least` keys: shallow before deep, then in the order of the keys.

    Examples
    --------
    >>> prefixes(["net.fc.weight", "net.fc.bias", "loss.weight"], least=2)
    ['', 'net.', 'net.fc.']
    """
    counts = Counter[str]()
    for key in keys:
        counts[""] += 1
        position = key.find(".")
        while position >= 0:
            counts[key[: position + 1]] += 1
            position = key.find(".", position + 1)
    return sorted((prefix for prefix, count in counts.items() if count >= least), key=lambda prefix: prefix.count("."))
