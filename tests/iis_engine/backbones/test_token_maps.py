"""Token maps: the representation at each position, for each family of networks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import open_clip
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.factory import load_backbone
from iis_engine.backbones.token_maps import TokenMap, find_token_map
from iis_engine.specs import BackboneSpec

TEXT = {"context_length": 16, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}
VISION: dict[str, Any] = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}


def loaded(architecture: str, folder: Path, **arguments: Any) -> tuple[Any, Backbone]:
    torch.manual_seed(0)
    module = timm.create_model(architecture, **arguments).eval()
    path = folder / "w.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in module.state_dict().items()}, path)
    return module, load_backbone(BackboneSpec(f"timm:{architecture}", arguments), path, device="cpu")


def tower(folder: Path, name: str, **vision: Any) -> tuple[Any, Backbone]:
    torch.manual_seed(0)
    (folder / f"{name}.json").write_text(json.dumps({"embed_dim": 24, "vision_cfg": {**VISION, **vision}, "text_cfg": TEXT}))
    open_clip.add_model_config(folder / f"{name}.json")
    model: Any = open_clip.create_model(name).eval()
    save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, folder / f"{name}.safetensors")
    return model.visual, load_backbone(BackboneSpec(f"open_clip:{name}"), folder / f"{name}.safetensors", device="cpu")


def by_position(maps: Tensor | None) -> Tensor:
    """(n, positions, d)."""
    assert maps is not None
    return maps.flatten(2).transpose(1, 2)


def images_for(backbone: Backbone) -> Tensor:
    return torch.randn(2, 3, *backbone.input_size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_the_norm_after_the_mean_is_applied_to_each_patch_token(tmp_path: Path) -> None:
    module, backbone = loaded("test_vit", tmp_path, global_pool="avg")
    nn.init.normal_(module.fc_norm.weight)
    save_file(module.state_dict(), tmp_path / "scaled.safetensors")
    backbone = load_backbone(BackboneSpec("timm:test_vit", {"global_pool": "avg"}), tmp_path / "scaled.safetensors", device="cpu")
    images = images_for(backbone)
    maps = backbone.token_map(images)
    assert maps is not None
    assert maps.shape == (2, 64, 10, 10)
    assert torch.allclose(by_position(maps), module.fc_norm(module.forward_features(images)[:, 1:]), atol=1e-5)
    assert backbone.feature_map(images) is None


@torch.no_grad()
def test_patch_tokens_that_are_only_averaged_are_an_exact_feature_map(tmp_path: Path) -> None:
    module, backbone = loaded("test_vit", tmp_path, global_pool="avg", fc_norm=False)
    images = images_for(backbone)
    maps = backbone.feature_map(images)
    assert maps is not None
    assert torch.allclose(maps.mean((2, 3)), backbone.embed(images), atol=1e-5)
    assert torch.allclose(by_position(maps), module.forward_features(images)[:, 1:], atol=1e-5)
    assert backbone.describe()["feature_map"] is True


def test_a_network_with_a_class_token_has_no_token_map(tmp_path: Path) -> None:
    _, backbone = loaded("test_vit", tmp_path)
    assert backbone.token_map(images_for(backbone)) is None


@torch.no_grad()
def test_the_norm_after_the_pooling_of_a_convolutional_network_is_applied_to_each_position(tmp_path: Path) -> None:
    module, backbone = loaded("test_convnext", tmp_path)
    images = images_for(backbone)
    expected = module.head.norm(module.forward_features(images))
    maps = backbone.token_map(images)
    assert maps is not None
    assert torch.allclose(maps, expected, atol=1e-4)
    assert not torch.allclose(maps.mean((2, 3)), backbone.embed(images), atol=1e-2)


@torch.no_grad()
def test_channels_last_maps_are_recognised(tmp_path: Path) -> None:
    module, backbone = loaded("test_mambaout", tmp_path)
    images = images_for(backbone)
    values = module.forward_features(images)
    maps = backbone.token_map(images)
    assert maps is not None
    assert values.shape[1:3] == maps.shape[2:]
    assert torch.allclose(maps[:, :, 1, 3], module.forward_head(values[:, 1:2, 3:4], pre_logits=True), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("norm_after_pooling", [True, False])
def test_norm_and_projection_of_a_clip_tower_are_applied_to_each_patch_token(norm_after_pooling: bool, tmp_path: Path) -> None:
    visual, backbone = tower(tmp_path, f"pooled-{norm_after_pooling}", pool_type="avg", final_ln_after_pool=norm_after_pooling)
    images = images_for(backbone)
    tokens = visual.transformer(visual._embeds(images))[:, 1:]
    maps = backbone.token_map(images)
    assert maps is not None
    assert maps.shape == (2, 24, 4, 4)
    assert torch.allclose(by_position(maps), visual.ln_post(tokens) @ visual.proj, atol=1e-4)


@torch.no_grad()
def test_attention_pooling_of_a_captioning_model_is_applied_to_each_patch_token(tmp_path: Path) -> None:
    visual, backbone = tower(tmp_path, "captioner", attentional_pool=True, attn_pooler_heads=4, output_tokens=True)
    images = images_for(backbone)
    tokens = visual.transformer(visual._embeds(images))
    one = tokens[:, 6:7]  # after the class token, patches in rows of four: row 1, column 1
    maps = backbone.token_map(images)
    assert maps is not None
    assert torch.allclose(maps[:, :, 1, 1], visual._pool(one)[0] @ visual.proj, atol=1e-4)


@torch.no_grad()
def test_attention_pooling_of_a_clip_resnet_over_one_position_is_its_value_projection(tmp_path: Path) -> None:
    visual, backbone = tower(tmp_path, "resnet", image_size=64, layers=[1, 1, 1, 1], width=16, patch_size=None)
    images = images_for(backbone)
    pool, outputs = visual.attnpool, list[Tensor]()

    def keep_output(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        outputs.append(output)

    with visual.layer4.register_forward_hook(keep_output):
        visual(images)
    expected = pool.c_proj(pool.v_proj(outputs[0].permute(0, 2, 3, 1)))
    maps = backbone.token_map(images)
    assert maps is not None
    assert torch.allclose(maps, expected.permute(0, 3, 1, 2), atol=1e-5)


@torch.no_grad()
def test_the_projection_of_a_clip_tower_is_applied_to_the_tokens_of_its_timm_trunk(tmp_path: Path) -> None:
    trunk = {"timm_model_name": "test_vit", "timm_pool": "avg", "timm_proj": "linear", "image_size": 160}
    visual, backbone = tower(tmp_path, "trunk", **trunk)
    images = images_for(backbone)
    tokens = visual.trunk.forward_features(images)[:, 1:]
    assert torch.allclose(by_position(backbone.token_map(images)), visual.head(visual.trunk.fc_norm(tokens)), atol=1e-4)


@torch.no_grad()
def test_the_norm_of_a_torchvision_convnext_is_applied_to_each_position() -> None:
    torch.manual_seed(0)
    setting = torchvision.models.convnext.CNBlockConfig
    module = torchvision.models.ConvNeXt([setting(8, 16, 1), setting(16, None, 1)]).eval()
    images = torch.randn(2, 3, 64, 64)
    values = module.features(images)
    found = find_token_map(module, None, images, module.classifier[:-1](module.avgpool(values)), 1e-5)
    assert found is not None
    assert torch.allclose(found(images), module.classifier[0](values), atol=1e-5)


@torch.no_grad()
def test_a_network_without_spatial_positions_has_no_token_map() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 5))
    images = torch.randn(2, 3, 4, 4)
    assert find_token_map(network, None, images, network(images), 1e-5) is None


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (64, 128), (96, 32)])
def test_a_changed_patch_changes_its_own_position_alone(size: tuple[int, int]) -> None:
    """Without blocks no token depends on another patch."""
    torch.manual_seed(0)
    module: Any = timm.create_model("test_vit", img_size=size, global_pool="avg").eval()
    module.blocks = nn.Sequential()
    images = torch.randn(2, 3, *size)
    represented = module.forward_head(module.forward_features(images), pre_logits=True)
    found = find_token_map(module, None, images, represented, 1e-5)
    assert isinstance(found, TokenMap)
    changed = images.clone()
    changed[:, :, 16:32, 0:16] += 1.0
    for token_map in (found, replace(found, network=replace(found.network, grid=None))):  # the stored grid, then one by aspect ratio
        differs = (token_map(images) - token_map(changed)).abs().amax((0, 1)) > 1e-6
        assert differs.shape == (size[0] // 16, size[1] // 16)
        assert differs.nonzero().tolist() == [[1, 0]]
