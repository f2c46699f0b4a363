"""Reduce a layer's output to one vector per image: tokens or maps by their class token, their patches, or attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from iis_engine.backbones.hooks import channels_first, pooled
from iis_engine.errors import ArchitectureError
from iis_engine.specs import PoolingName


@dataclass(frozen=True)
class TokenLayout:
    """Tokens before the patch tokens of a transformer, in the order class, registers.

    Attributes
    ----------
    class_tokens, register_tokens : their numbers
    patch_size : height and width of a patch in pixels; None if unknown
    """

    class_tokens: int = 0
    register_tokens: int = 0
    patch_size: tuple[int, int] | None = None

    def prefix_of(self, token_count: int, input_size: tuple[int, int]) -> tuple[int, int]:
        """Return the numbers of class and register tokens in a layer's output: none where it has exactly one token per patch."""
        patches = None if self.patch_size is None else (input_size[0] // self.patch_size[0]) * (input_size[1] // self.patch_size[1])
        if token_count == patches or token_count <= self.class_tokens + self.register_tokens:
            return 0, 0
        return self.class_tokens, self.register_tokens


@dataclass(frozen=True)
class LayerPooling:
    """Pooling of a named layer.

    Attributes
    ----------
    pooling : `class` token, mean of the `patches`, mean of `all` tokens but registers (default), or the network's attention pool (`map`)
    layer : its name, for messages
    attend : the network's attention pool, tokens (n, t, D) -> (n, d); None without one
    """

    pooling: PoolingName | None
    layer: str
    tokens: TokenLayout
    input_size: tuple[int, int]
    attend: Callable[[Tensor], Tensor] | None = None

    def __call__(self, output: Tensor) -> Tensor:
        """Pool an output (n, t, d), (n, d, h, w) or (n, h, w, d) -> (n, d). Registers are left out of every mean.

        Raises
        ------
        ArchitectureError
            If the layer has no class token, or the network no attention pool, but it was requested.
        """
        if output.ndim not in (3, 4):
            if self.pooling is not None:
                raise self._refused("the output of this layer is one vector per image; leave pooling out")
            return output
        if self.pooling == "map":
            if self.attend is None:
                raise self._refused("this network has no attention pool; choose class, patches or all")
            return pooled(self.attend(output if output.ndim == 3 else channels_first(output).flatten(2).transpose(1, 2)))
        class_count, register_count = self.tokens.prefix_of(output.shape[1], self.input_size) if output.ndim == 3 else (0, 0)
        if self.pooling == "class":
            if class_count == 0:
                raise self._refused("the output of this layer has no class token; choose patches or all")
            return output[:, 0]
        if output.ndim == 4:
            return pooled(output)
        patches = output[:, class_count + register_count :]
        if self.pooling == "patches":
            return patches.mean(1)
        kept = class_count + patches.shape[1]
        return (output[:, :class_count].sum(1) + patches.sum(1)) / kept if register_count else output.mean(1)

    def _refused(self, reason: str) -> ArchitectureError:
        return ArchitectureError(f"pooling={self.pooling!r} of the layer {self.layer!r}: {reason}.", param="pooling")
