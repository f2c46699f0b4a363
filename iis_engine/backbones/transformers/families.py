"""Vision networks of transformers that are supported: their classes, representations and tokens. No class is looked up by a file's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    ConvNextConfig,
    ConvNextModel,
    ConvNextV2Config,
    ConvNextV2Model,
    DeiTConfig,
    DeiTModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ConvNextConfig,
    DINOv3ConvNextModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    ResNetConfig,
    ResNetModel,
    Siglip2VisionConfig,
    Siglip2VisionModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    SwinConfig,
    SwinModel,
    Swinv2Config,
    Swinv2Model,
    ViTConfig,
    ViTModel,
)


class SquareSiglip2(Siglip2VisionModel):
    """SigLIP 2's network of variable resolution for square images: cut into patches here, without padding."""

    def forward(self, pixel_values: Tensor, **_options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Compute the outputs for images (n, 3, H, W)."""
        side = int(cast(Any, self.config).patch_size)
        rows, columns = pixel_values.shape[2] // side, pixel_values.shape[3] // side
        blocks = pixel_values.unflatten(3, (columns, side)).unflatten(2, (rows, side))
        patches = blocks.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)  # (n, patches, side x side x channels)
        mask = torch.ones(patches.shape[:2], dtype=torch.int64, device=patches.device)
        shapes = torch.tensor([[rows, columns]] * len(patches), device=patches.device)
        return super().forward(patches, mask, cast(Any, shapes))


def _class_token(output: Any) -> Tensor:
    return output.last_hidden_state[:, 0]


def _pooler(output: Any) -> Tensor:
    return output.pooler_output.flatten(1)


def _projection(output: Any) -> Tensor:
    return output.image_embeds


@dataclass(frozen=True)
class Family:
    """A kind of network.

    Attributes
    ----------
    represent : output of the network -> its representation (n, d), which the library's own classifiers read
    description : of the representation, for a note
    class_tokens : number of class and distillation tokens
    attention_pool : name of the submodule that pools tokens
    mean : of the image processor's defaults: `half` (0.5), `imagenet` or `clip`
    squash : whether the image processor ignores the aspect ratio by default
    """

    config: type[Any]
    model: Callable[..., nn.Module]
    represent: Callable[[Any], Tensor]
    description: str
    class_tokens: int = 0
    attention_pool: str | None = None
    mean: str = "imagenet"
    squash: bool = False
    build_options: tuple[tuple[str, Any], ...] = ()


_NO_POOLER = (("add_pooling_layer", False),)
_CLASS, _POOLED = "the class token after the last norm", "the pooled output"
_PROJECTED = "the projected image embedding"
_MAP_HEAD = "the output of the attention pool"
FAMILIES: dict[str, Family] = {
    "vit": Family(ViTConfig, ViTModel, _class_token, _CLASS, 1, mean="half", squash=True, build_options=_NO_POOLER),
    "deit": Family(DeiTConfig, DeiTModel, _class_token, _CLASS, 2, mean="half", squash=True, build_options=_NO_POOLER),
    "dinov2": Family(Dinov2Config, Dinov2Model, _class_token, _CLASS, 1),
    "dinov2_with_registers": Family(Dinov2WithRegistersConfig, Dinov2WithRegistersModel, _class_token, _CLASS, 1),
    "dinov3_vit": Family(DINOv3ViTConfig, DINOv3ViTModel, _class_token, _CLASS, 1, squash=True),
    "dinov3_convnext": Family(DINOv3ConvNextConfig, DINOv3ConvNextModel, _pooler, _POOLED, squash=True),
    "siglip_vision_model": Family(
        SiglipVisionConfig, SiglipVisionModel, _pooler, _MAP_HEAD, attention_pool="head", mean="half", squash=True
    ),
    "siglip2_vision_model": Family(Siglip2VisionConfig, SquareSiglip2, _pooler, _MAP_HEAD, attention_pool="head", mean="half", squash=True),
    "clip_vision_model": Family(CLIPVisionConfig, CLIPVisionModel, _pooler, _CLASS, 1, mean="clip"),
    "clip_projected": Family(CLIPVisionConfig, CLIPVisionModelWithProjection, _projection, _PROJECTED, 1, mean="clip"),
    "convnext": Family(ConvNextConfig, ConvNextModel, _pooler, _POOLED),
    "convnextv2": Family(ConvNextV2Config, ConvNextV2Model, _pooler, _POOLED),
    "swin": Family(SwinConfig, SwinModel, _pooler, _POOLED),
    "swinv2": Family(Swinv2Config, Swinv2Model, _pooler, _POOLED),
    "resnet": Family(ResNetConfig, ResNetModel, _pooler, _POOLED),
}
"""By `model_type` of config.json; `clip_projected` is chosen where the file has CLIP's projection of images."""
TWO_TOWERS = {"clip": "clip_vision_model", "siglip": "siglip_vision_model", "siglip2": "siglip2_vision_model"}
"""Models of images and text, whose image tower is described in `vision_config`."""
