"""Compare the keys and shapes of a state dict with those of a network: what is missing, unexpected, or may be left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from iis_engine.errors import first_names

_DERIVED_KEYS = ("num_batches_tracked", "relative_position_index", "attn_mask", "total_ops", "total_params")
"""Last part of the keys of counters and derived buffers; their absence or presence changes no representation."""
_BESIDE_THE_NETWORK = re.compile(
    r"(?:.*_)?(?:criterion|criteria|loss|losses|loss_fn|metric|metrics)(?:_.*)?"
    r"|mask_token|decoder.*|.*projector|predictor.*|queue.*|n_averaged"
    r"|(?:.*_)?heads?(?:_.*)?|classifier.*|fc\d*|logits|last_layer|AuxLogits|aux\d"
)
"""First parts of keys that training stores beside a network: losses, decoders of masked pretraining, projectors, other heads."""
_LISTED_MAX = 4


@dataclass(frozen=True)
class ExpectedKeys:
    """Keys of a network.

    Attributes
    ----------
    shapes : of all keys
    floating : keys of floating point values
    heads : names of the submodules after the representation, with the modules that contain nothing else
    """

    shapes: dict[str, tuple[int, ...]]
    floating: frozenset[str]
    heads: tuple[str, ...]

    @staticmethod
    def of(module: nn.Module, head: Iterable[str] = ()) -> ExpectedKeys:
        """Return the keys of a module whose submodules `head` follow the representation."""
        state = module.state_dict()
        shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
        floating = frozenset(key for key, tensor in state.items() if tensor.is_floating_point())
        return ExpectedKeys(shapes, floating, _with_containers(tuple(head), shapes))

    def is_required(self, key: str) -> bool:
        """Whether the representation depends on the key."""
        return not self.is_in_head(key) and key.rpartition(".")[2] not in _DERIVED_KEYS

    def is_in_head(self, key: str) -> bool:
        """Whether the key belongs to a submodule after the representation."""
        return _is_inside(key, self.heads)

    @property
    def required(self) -> list[str]:
        """Keys on which the representation depends."""
        return [key for key in self.shapes if self.is_required(key)]


@dataclass(frozen=True)
class Match:
    """Weights compared with a network's keys.

    Attributes
    ----------
    missing, unexpected, misshapen : keys that prevent loading, the last ones with both shapes
    left_out : keys beside the network
    other_head : keys of a classifier that does not fit the network's
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]
    left_out: tuple[str, ...]
    other_head: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether the representation can be loaded."""
        return not (self.missing or self.unexpected or self.misshapen)

    @property
    def problem_count(self) -> int:
        """Number of keys that prevent loading."""
        return len(self.missing) + len(self.unexpected) + len(self.misshapen)

    def describe(self) -> str:
        """Name the first keys that prevent loading."""
        lists = (("missing keys", self.missing), ("unexpected keys", self.unexpected), ("different shapes:", self.misshapen))
        return "; ".join(f"{title} {first_names(keys, _LISTED_MAX)}" for title, keys in lists if keys)


def match_keys(weights: Mapping[str, Tensor], expected: ExpectedKeys) -> Match:
    """Compare weights with a network's keys. The classifier, which no representation uses, may be missing or differ."""
    shapes = expected.shapes
    first_parts = {key.partition(".")[0] for key in shapes}

    def is_beside(key: str) -> bool:
        first = key.partition(".")[0]
        return first not in first_parts and _BESIDE_THE_NETWORK.fullmatch(first) is not None

    extra = [key for key in weights if key not in shapes and expected.is_required(key)]
    return Match(
        missing=tuple(key for key in expected.required if key not in weights),
        unexpected=tuple(key for key in extra if not is_beside(key)),
        misshapen=tuple(
            f"{key} is {tuple(weights[key].shape)} in the file and {shapes[key]} in the network"
            for key in expected.required
            if key in weights and tuple(weights[key].shape) != shapes[key]
        ),
        left_out=tuple(key for key in extra if is_beside(key)),
        other_head=tuple(key for key in weights if expected.is_in_head(key) and tuple(weights[key].shape) != shapes.get(key)),
    )


def _with_containers(heads: tuple[str, ...], keys: Iterable[str]) -> tuple[str, ...]:
    """Add the modules around the heads that have no weights but those of heads, such as the Sequential around a classifier."""
    known, names = list(keys), set(heads)
    for head in heads:
        container = head.rpartition(".")[0]
        while container and all(_is_inside(key, heads) for key in known if key.startswith(f"{container}.")):
            names.add(container)
            container = container.rpartition(".")[0]
    return tuple(sorted(names))


def _is_inside(key: str, names: Iterable[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in names)
