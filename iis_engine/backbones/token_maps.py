"""Compute the representation at each spatial position, for networks without a final average pooling. Exact maps: `torch_backbone`."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
import torchvision
from torch import Tensor, nn

from iis_engine.backbones.hooks import capture_output, pooled

_PREFIX_TOKENS_MAX = 16
_POSITIONS_MIN = 4
_SPLIT_ERRORS = (RuntimeError, ValueError, AssertionError, TypeError, IndexError, AttributeError)


@dataclass(frozen=True)
class SplitNetwork:
    """A network in two halves, split at its last value with spatial positions: after(before(images)) = f(images).

    Attributes
    ----------
    before : images (n, channels, H, W) -> tokens (n, t, D), patch tokens last, or a map (n, D, h, w) or (n, h, w, D)
    after : that value -> the representation (n, d)
    at_position : values (k, D) of k positions -> (k, d), for networks whose `after` cannot process a single position; None for others
    grid : rows and columns of the patches, if the network stores them
    """

    before: Callable[[Tensor], Tensor]
    after: Callable[[Tensor], Tensor]
    at_position: Callable[[Tensor], Tensor] | None = None
    grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class TokenMap:
    """The second half of a network applied to each position alone: f of an image whose positions all have that position's value.

    Layers after the pooling (a norm, a projection) are applied to each position; class and register tokens are left out.

    Attributes
    ----------
    network : the network in two halves
    channel_axis : axis of the channels in a map, 1 or 3
    """

    network: SplitNetwork
    channel_axis: int

    def __call__(self, images: Tensor) -> Tensor:
        """Compute the map: (n, channels, H, W) -> (n, d, h, w)."""
        values = self.network.before(images)
        if values.ndim == 3:
            rows, columns = _grid(values.shape[1], images.shape[2:], self.network.grid)
            prefix = values.shape[1] - rows * columns
            positions = values[:, prefix:].unflatten(1, (rows, columns))
        else:
            prefix = 0
            positions = values.movedim(self.channel_axis, 3)
        count, rows, columns, _ = positions.shape
        representation = self._apply_after(positions.flatten(0, 2), prefix, values.ndim)
        return representation.unflatten(0, (count, rows, columns)).movedim(3, 1)

    def _apply_after(self, positions: Tensor, prefix: int, dimensions: int) -> Tensor:
        if self.network.at_position is not None:
            return self.network.at_position(positions)
        if dimensions == 3:
            return self.network.after(positions[:, None].expand(-1, prefix + 1, -1))
        return self.network.after(positions[:, None, None].movedim(3, self.channel_axis))


def find_token_map(
    module: nn.Module,
    layer: str | None,
    images: Tensor,
    representation: Tensor,
    tolerance: float,
    pool: Callable[[Tensor], Tensor] = pooled,
) -> TokenMap | None:
    """Return the token map of a timm, torchvision or open_clip network or of its `layer`; None if it has no usable positions.

    Also None if the representation is the class token alone: training does not place the last patch tokens of such a network in the
    space of its representation. On planted images they locate a concept no better than chance, while occlusion of the same network
    locates it.

    Parameters
    ----------
    images, representation : test images (n, channels, H, W) and f of them (n, d)
    tolerance : largest difference allowed between f and the two halves applied in turn
    pool : reduction of the layer's output to vectors
    """
    try:
        network = split_network(module, layer, pool)
        if network is None:
            return None
        values = network.before(images)
        if values.ndim not in (3, 4) or _distance(network.after(values), representation) > tolerance:
            return None
        if values.ndim == 3 and _distance(network.after(_without_patches(network, values, images)), representation) <= tolerance:
            return None
    except _SPLIT_ERRORS:
        return None
    for axis in (1, 3)[: values.ndim - 2]:
        token_map = TokenMap(network, axis)
        try:
            maps = token_map(images)
        except _SPLIT_ERRORS:
            continue
        fits = maps.shape[:2] == representation.shape and maps.shape[2:].numel() >= _POSITIONS_MIN
        if fits and bool(torch.isfinite(maps).all()):
            return token_map
    return None


def _distance(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().max())


def _without_patches(network: SplitNetwork, tokens: Tensor, images: Tensor) -> Tensor:
    rows, columns = _grid(tokens.shape[1], images.shape[2:], network.grid)
    zeroed = tokens.clone()
    zeroed[:, tokens.shape[1] - rows * columns :] = 0
    return zeroed


def split_network(module: nn.Module, layer: str | None, pool: Callable[[Tensor], Tensor] = pooled) -> SplitNetwork | None:
    """Split the network at `layer` or at its last value with positions; None for networks not known to have one."""
    if layer is not None:
        return SplitNetwork(_output_function(module, layer), pool)
    return _split_open_clip(module) or _split_torchvision(module) or _split_timm(cast(Any, module))


def _split_open_clip(module: nn.Module) -> SplitNetwork | None:
    if "open_clip" not in sys.modules:  # then none of its networks was built; networks of timm do without the package
        return None
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import VisionTransformer

    tower = cast(Any, module)
    if isinstance(module, TimmModel) and (trunk := _split_timm(tower.trunk)) is not None:
        return SplitNetwork(trunk.before, lambda values: tower.head(trunk.after(values)), grid=trunk.grid)
    if isinstance(module, VisionTransformer):
        return SplitNetwork(
            _output_function(module, "transformer"), lambda tokens: _clip_pooled(tower, tokens), grid=tuple(tower.grid_size)
        )
    if isinstance(module, ModifiedResNet):
        pool = tower.attnpool
        # MaskCLIP (Zhou et al. 2022, arXiv 2112.01071, section 3.2): attention over a single position returns its value projection.
        return SplitNetwork(_output_function(module, "layer4"), pool, at_position=lambda values: pool.c_proj(pool.v_proj(values)))
    return None


def _clip_pooled(tower: Any, tokens: Tensor) -> Tensor:
    pooled_token, _ = tower._pool(tokens)  # open_clip has no public equivalent; a test fails when it changes
    return pooled_token if tower.proj is None else pooled_token @ tower.proj


def _split_torchvision(module: nn.Module) -> SplitNetwork | None:
    if isinstance(module, torchvision.models.ConvNeXt):
        network = cast(Any, module)
        return SplitNetwork(_output_function(module, "features"), lambda values: network.classifier[:-1](network.avgpool(values)))
    return None


def _split_timm(network: Any) -> SplitNetwork | None:
    if not (hasattr(network, "forward_features") and hasattr(network, "forward_head")):
        return None
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    return SplitNetwork(
        network.forward_features,
        lambda values: network.forward_head(values, pre_logits=True),
        grid=None if grid is None else (int(grid[0]), int(grid[1])),
    )


def _output_function(module: nn.Module, name: str) -> Callable[[Tensor], Tensor]:
    """Return the function from images to the output of the submodule `name`."""

    def output(images: Tensor) -> Tensor:
        with capture_output(module, name) as captured:
            module(images)
        return captured[-1]

    return output


def _grid(token_count: int, image_size: torch.Size, known: tuple[int, int] | None) -> tuple[int, int]:
    """Return rows and columns of the patch tokens: those the network stores, else the largest grid with the image's aspect ratio."""
    height, width = image_size
    rows = math.isqrt(token_count * height // width)
    for candidate in (known, (rows, round(rows * width / height))):
        if candidate is not None and 0 <= token_count - candidate[0] * candidate[1] <= _PREFIX_TOKENS_MAX:
            return candidate
    raise ValueError(f"{token_count} tokens do not form a grid")
