"""A torch network with its preprocessing and the position of its representation, as the loader of each family returns it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from iis_engine.backbones.checkpoints.weights import KeyConversion
from iis_engine.backbones.pooling import TokenLayout
from iis_engine.backbones.preprocessing import ImageTransform


@dataclass(frozen=True)
class Network:
    """A network as its library builds it.

    Attributes
    ----------
    transform : the library's own preprocessing
    head : names of the submodules after the representation; the first one is the linear layer itself
    represent : function of `module` (or a copy of it) and images (n, channels, H, W) that returns the pooled representation (n, d) as
        the library defines it; None if the representation is the input of `head[0]`
    key_prefix : prefix of `module`'s keys in the library's whole-model checkpoints
    idle_arguments : names of arguments that configure another part of the model than `module`
    convert : renaming of the keys of published files, as the library does it
    tokens : class and register tokens among the network's tokens
    attention_pool : name of the submodule that pools tokens by attention, if there is one
    choices : settings that were chosen by the tag of the weights or by the file; they determine the representation
    notes : what was assumed or chosen while the network was built, one sentence each
    """

    module: nn.Module
    transform: ImageTransform
    head: tuple[str, ...]
    represent: Callable[[nn.Module, Tensor], Tensor] | None
    key_prefix: str = ""
    idle_arguments: frozenset[str] = frozenset()
    convert: KeyConversion | None = None
    tokens: TokenLayout = field(default_factory=TokenLayout)
    attention_pool: str | None = None
    choices: dict[str, Any] = field(default_factory=dict[str, Any])
    notes: tuple[str, ...] = ()
