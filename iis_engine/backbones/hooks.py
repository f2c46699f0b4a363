"""Capture the inputs and outputs of submodules with forward hooks, and average them over positions."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from iis_engine.errors import ArchitectureError


@contextmanager
def capture_output(module: nn.Module, name: str) -> Generator[list[Tensor]]:
    """Append each output of the submodule `name` to the yielded list, as long as the context is open.

    Raises
    ------
    ArchitectureError
        On exit if no forward pass reached the submodule; in the forward pass if its output is not a tensor.
    """
    captured: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, (tuple, list)) and output else output
        if not isinstance(first, Tensor):
            raise ArchitectureError(
                f"The output of the layer {name!r} is not a tensor; name another layer.", code="layer_unknown", param="layer"
            )
        captured.append(first)

    with _removing(module.get_submodule(name).register_forward_hook(hook)):
        yield captured
    _require_reached(captured, name)


@contextmanager
def capture_input(module: nn.Module, name: str) -> Generator[list[Tensor]]:
    """Append the first input of each call of the submodule `name` to the yielded list, as long as the context is open.

    Raises
    ------
    ArchitectureError
        On exit if no forward pass reached the submodule.
    """
    captured: list[Tensor] = []

    def hook(_module: nn.Module, inputs: Any) -> None:
        captured.append(cast(Tensor, inputs[0]))

    with _removing(module.get_submodule(name).register_forward_pre_hook(hook)):
        yield captured
    _require_reached(captured, name)


def pooled(output: Tensor) -> Tensor:
    """Average a map (n, d, h, w) or (n, h, w, d), or tokens (n, t, d), over positions -> (n, d); a matrix is returned as it is."""
    if output.ndim == 4:
        return channels_first(output).mean((2, 3))
    return output.mean(1) if output.ndim == 3 else output


def channels_first(output: Tensor) -> Tensor:
    """Return a map as (n, d, h, w).

    Some transformers output (n, h, w, d), recognised by two equal middle sizes and a different last one.
    """
    _, second, third, last = output.shape
    return output.permute(0, 3, 1, 2) if second == third != last else output


@contextmanager
def _removing(handle: torch.utils.hooks.RemovableHandle) -> Generator[None]:
    try:
        yield
    finally:
        handle.remove()


def _require_reached(captured: list[Tensor], name: str) -> None:
    if not captured:
        raise ArchitectureError(
            f"The forward pass does not reach the layer {name!r}; name another layer.", code="layer_unknown", param="layer"
        )
