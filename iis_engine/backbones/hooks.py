"""Values inside a running network: tapped by hooks while it computes, and pooled. What is tapped is decided elsewhere."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from iis_engine.errors import ArchitectureError


@contextmanager
def output_of(module: nn.Module, name: str) -> Generator[list[Tensor]]:
    """While it is open, each output of the submodule `name` is appended to the list it gives.

    Raises
    ------
    ArchitectureError
        On leaving, if nothing reached the submodule; and from the forward pass, if its output is no tensor.
    """
    seen: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, (tuple, list)) and output else output
        if not isinstance(first, Tensor):
            raise ArchitectureError(f"The layer {name!r} yields no tensor; name another layer.", code="layer_unknown", param="layer")
        seen.append(first)

    with _hooked(module.get_submodule(name).register_forward_hook(hook)):
        yield seen
    _require_reached(seen, name)


@contextmanager
def input_of(module: nn.Module, name: str) -> Generator[list[Tensor]]:
    """While it is open, the first input of each call of the submodule `name` is appended to the list it gives; refuses as `output_of`."""
    seen: list[Tensor] = []

    def hook(_module: nn.Module, inputs: Any) -> None:
        seen.append(cast(Tensor, inputs[0]))

    with _hooked(module.get_submodule(name).register_forward_pre_hook(hook)):
        yield seen
    _require_reached(seen, name)


def pooled(output: Tensor) -> Tensor:
    """One vector per image: the mean over positions of a map (n, d, h, w) or (n, h, w, d) or of tokens (n, t, d)."""
    if output.ndim == 4:
        return channels_first(output).mean((2, 3))
    return output.mean(1) if output.ndim == 3 else output


def channels_first(output: Tensor) -> Tensor:
    """Some transformers put channels last; their maps are told by two equal middle sides beside an unequal last one."""
    _, second, third, last = output.shape
    return output.permute(0, 3, 1, 2) if second == third != last else output


@contextmanager
def _hooked(handle: torch.utils.hooks.RemovableHandle) -> Generator[None]:
    try:
        yield
    finally:
        handle.remove()


def _require_reached(seen: list[Tensor], name: str) -> None:
    if not seen:
        raise ArchitectureError(
            f"A forward pass does not reach the layer {name!r}; name another layer.", code="layer_unknown", param="layer"
        )
