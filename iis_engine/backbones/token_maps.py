"""The representation read at each place on its own, for networks that do not end in a mean over places. Exact maps: torch_backbone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
import torchvision
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from iis_engine.backbones.hooks import output_of, pooled

_PREFIX_TOKENS_MAX = 16
_PLACES_MIN = 4
_CUT_ERRORS = (RuntimeError, ValueError, AssertionError, TypeError, IndexError, AttributeError)


@dataclass(frozen=True)
class Cut:
    """A network in two halves, between which there still are places.

    Attributes
    ----------
    before : images (n, channels, H, W) -> tokens (n, t, D), with the patches last, or a map (n, D, h, w) or (n, h, w, D)
    after : those -> the representation (n, d), which is f once more
    alone : (k, D) places -> (k, d), for the networks whose `after` cannot be shown one place only; None for the others
    grid : rows and columns of the patches, where the network tells
    """

    before: Callable[[Tensor], Tensor]
    after: Callable[[Tensor], Tensor]
    alone: Callable[[Tensor], Tensor] | None = None
    grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class TokenMap:
    """The second half of a network read at each place: what f would be if all the image looked, to this half, as that place does.

    What the half does after it has pooled (a norm, a projection) is done to each place; class and register tokens are left out.
    """

    cut: Cut
    channel_axis: int

    def __call__(self, images: Tensor) -> Tensor:
        """(n, channels, H, W) -> (n, d, h, w)."""
        values = self.cut.before(images)
        if values.ndim == 3:
            rows, columns = _grid(values.shape[1], images.shape[2:], self.cut.grid)
            prefix = values.shape[1] - rows * columns
            places = values[:, prefix:].unflatten(1, (rows, columns))
        else:
            prefix = 0
            places = values.movedim(self.channel_axis, 3)
        count, rows, columns, _ = places.shape
        read = self._alone(places.flatten(0, 2), prefix, values.ndim)
        return read.unflatten(0, (count, rows, columns)).movedim(3, 1)

    def _alone(self, places: Tensor, prefix: int, dimensions: int) -> Tensor:
        if self.cut.alone is not None:
            return self.cut.alone(places)
        if dimensions == 3:
            return self.cut.after(places[:, None].expand(-1, prefix + 1, -1))
        return self.cut.after(places[:, None, None].movedim(3, self.channel_axis))


def find_token_map(module: nn.Module, layer: str | None, images: Tensor, representation: Tensor, tolerance: float) -> TokenMap | None:
    """The token map of a network of timm, torchvision or open_clip, or of its `layer`; None where there is nothing of the kind.

    None too where the representation is a class token alone: nothing trains the last patch tokens of such a network to lie in its space.
    On planted images they point at a concept no better than chance, where occlusion of the same network finds it.

    Parameters
    ----------
    images, representation : (n, channels, H, W) and f of them (n, d), on which it is tried
    tolerance : how far, at most, the two halves together may be from f
    """
    try:
        cut = cut_in_two(module, layer)
        if cut is None:
            return None
        values = cut.before(images)
        if values.ndim not in (3, 4) or _distance(cut.after(values), representation) > tolerance:
            return None
        if values.ndim == 3 and _distance(cut.after(_without_patches(cut, values, images)), representation) <= tolerance:
            return None
    except _CUT_ERRORS:
        return None
    for axis in (1, 3)[: values.ndim - 2]:
        found = TokenMap(cut, axis)
        try:
            tried = found(images)
        except _CUT_ERRORS:
            continue
        fits = tried.shape[:2] == representation.shape and tried.shape[2:].numel() >= _PLACES_MIN
        if fits and bool(torch.isfinite(tried).all()):
            return found
    return None


def _distance(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().max())


def _without_patches(cut: Cut, tokens: Tensor, images: Tensor) -> Tensor:
    rows, columns = _grid(tokens.shape[1], images.shape[2:], cut.grid)
    emptied = tokens.clone()
    emptied[:, tokens.shape[1] - rows * columns :] = 0
    return emptied


def cut_in_two(module: nn.Module, layer: str | None) -> Cut | None:
    """The network in two halves at the last value that has places; None for networks that are not known to have one."""
    if layer is not None:
        return Cut(_tapped(module, layer), pooled)
    return _open_clip(module) or _torchvision(module) or _timm(cast(Any, module))


def _open_clip(module: nn.Module) -> Cut | None:
    tower = cast(Any, module)
    if isinstance(module, TimmModel) and (trunk := _timm(tower.trunk)) is not None:
        return Cut(trunk.before, lambda values: tower.head(trunk.after(values)), grid=trunk.grid)
    if isinstance(module, VisionTransformer):
        return Cut(_tapped(module, "transformer"), lambda tokens: _clip_pooled(tower, tokens), grid=tuple(tower.grid_size))
    if isinstance(module, ModifiedResNet):
        pool = tower.attnpool
        # MaskCLIP (Zhou et al. 2022, arXiv 2112.01071, section 3.2): attention that sees one place passes its value on.
        return Cut(_tapped(module, "layer4"), pool, alone=lambda places: pool.c_proj(pool.v_proj(places)))
    return None


def _clip_pooled(tower: Any, tokens: Tensor) -> Tensor:
    kept, _ = tower._pool(tokens)  # private to open_clip, which offers no other way; a test watches it
    return kept if tower.proj is None else kept @ tower.proj


def _torchvision(module: nn.Module) -> Cut | None:
    if isinstance(module, torchvision.models.ConvNeXt):
        network = cast(Any, module)
        return Cut(_tapped(module, "features"), lambda values: network.classifier[:-1](network.avgpool(values)))
    return None


def _timm(network: Any) -> Cut | None:
    if not (hasattr(network, "forward_features") and hasattr(network, "forward_head")):
        return None
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    return Cut(
        network.forward_features,
        lambda values: network.forward_head(values, pre_logits=True),
        grid=None if grid is None else (int(grid[0]), int(grid[1])),
    )


def _tapped(module: nn.Module, name: str) -> Callable[[Tensor], Tensor]:
    def before(images: Tensor) -> Tensor:
        with output_of(module, name) as seen:
            module(images)
        return seen[-1]

    return before


def _grid(token_count: int, image_size: torch.Size, known: tuple[int, int] | None) -> tuple[int, int]:
    """Rows and columns of the patches among tokens: those the network tells, else the largest grid of the image's shape."""
    height, width = image_size
    rows = math.isqrt(token_count * height // width)
    for candidate in (known, (rows, round(rows * width / height))):
        if candidate is not None and 0 <= token_count - candidate[0] * candidate[1] <= _PREFIX_TOKENS_MAX:
            return candidate
    raise ValueError(f"{token_count} tokens lie on no grid")
