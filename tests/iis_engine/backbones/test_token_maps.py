"""The representation read at each place: what each family's reading equals, where it lies, and who has none."""

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


def places(maps: Tensor | None) -> Tensor:
    """(n, places, d)"""
    assert maps is not None
    return maps.flatten(2).transpose(1, 2)


def images_for(backbone: Backbone) -> Tensor:
    return torch.randn(2, 3, *backbone.input_size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_the_norm_after_the_mean_is_done_to_each_patch_token(tmp_path: Path) -> None:
    module, backbone = loaded("test_vit", tmp_path, global_pool="avg")
    nn.init.normal_(module.fc_norm.weight)
    save_file(module.state_dict(), tmp_path / "scaled.safetensors")
    backbone = load_backbone(BackboneSpec("timm:test_vit", {"global_pool": "avg"}), tmp_path / "scaled.safetensors", device="cpu")
    images = images_for(backbone)
    maps = backbone.token_map(images)
    assert maps is not None
    assert maps.shape == (2, 64, 10, 10)
    assert torch.allclose(places(maps), module.fc_norm(module.forward_features(images)[:, 1:]), atol=1e-5)
    assert backbone.feature_map(images) is None


@torch.no_grad()
def test_patch_tokens_that_are_averaged_and_nothing_more_are_an_exact_map(tmp_path: Path) -> None:
    module, backbone = loaded("test_vit", tmp_path, global_pool="avg", fc_norm=False)
    images = images_for(backbone)
    maps = backbone.feature_map(images)
    assert maps is not None
    assert torch.allclose(maps.mean((2, 3)), backbone.embed(images), atol=1e-5)
    assert torch.allclose(places(maps), module.forward_features(images)[:, 1:], atol=1e-5)
    assert backbone.describe()["feature_map"] is True


def test_a_class_tokens_network_has_no_token_map(tmp_path: Path) -> None:
    _, backbone = loaded("test_vit", tmp_path)
    assert backbone.token_map(images_for(backbone)) is None


@torch.no_grad()
def test_the_norm_after_a_convolutional_networks_pooling_is_done_to_each_place(tmp_path: Path) -> None:
    module, backbone = loaded("test_convnext", tmp_path)
    images = images_for(backbone)
    expected = module.head.norm(module.forward_features(images))
    maps = backbone.token_map(images)
    assert maps is not None
    assert torch.allclose(maps, expected, atol=1e-4)
    assert not torch.allclose(maps.mean((2, 3)), backbone.embed(images), atol=1e-2)


@torch.no_grad()
def test_channels_that_come_last_are_found(tmp_path: Path) -> None:
    module, backbone = loaded("test_mambaout", tmp_path)
    images = images_for(backbone)
    values = module.forward_features(images)
    maps = backbone.token_map(images)
    assert maps is not None
    assert values.shape[1:3] == maps.shape[2:]
    assert torch.allclose(maps[:, :, 1, 3], module.forward_head(values[:, 1:2, 3:4], pre_logits=True), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("norm_after_pooling", [True, False])
def test_a_clip_towers_norm_and_projection_are_done_to_each_patch_token(norm_after_pooling: bool, tmp_path: Path) -> None:
    visual, backbone = tower(tmp_path, f"pooled-{norm_after_pooling}", pool_type="avg", final_ln_after_pool=norm_after_pooling)
    images = images_for(backbone)
    tokens = visual.transformer(visual._embeds(images))[:, 1:]
    maps = backbone.token_map(images)
    assert maps is not None
    assert maps.shape == (2, 24, 4, 4)
    assert torch.allclose(places(maps), visual.ln_post(tokens) @ visual.proj, atol=1e-4)


@torch.no_grad()
def test_a_captioners_attention_pooling_is_shown_one_patch_token(tmp_path: Path) -> None:
    visual, backbone = tower(tmp_path, "captioner", attentional_pool=True, attn_pooler_heads=4, output_tokens=True)
    images = images_for(backbone)
    tokens = visual.transformer(visual._embeds(images))
    one = tokens[:, 6:7]  # the class token, then patches in rows of four: row 1, column 1
    maps = backbone.token_map(images)
    assert maps is not None
    assert torch.allclose(maps[:, :, 1, 1], visual._pool(one)[0] @ visual.proj, atol=1e-4)


@torch.no_grad()
def test_a_clip_resnets_attention_passes_on_the_value_of_one_place(tmp_path: Path) -> None:
    visual, backbone = tower(tmp_path, "resnet", image_size=64, layers=[1, 1, 1, 1], width=16, patch_size=None)
    images = images_for(backbone)
    pool, seen = visual.attnpool, list[Tensor]()
    with visual.layer4.register_forward_hook(lambda _module, _inputs, output: seen.append(output)):
        visual(images)
    expected = pool.c_proj(pool.v_proj(seen[0].permute(0, 2, 3, 1)))
    maps = backbone.token_map(images)
    assert maps is not None
    assert torch.allclose(maps, expected.permute(0, 3, 1, 2), atol=1e-5)


@torch.no_grad()
def test_a_timm_trunk_of_a_clip_tower_is_read_through_the_towers_projection(tmp_path: Path) -> None:
    trunk = {"timm_model_name": "test_vit", "timm_pool": "avg", "timm_proj": "linear", "image_size": 160}
    visual, backbone = tower(tmp_path, "trunk", **trunk)
    images = images_for(backbone)
    tokens = visual.trunk.forward_features(images)[:, 1:]
    assert torch.allclose(places(backbone.token_map(images)), visual.head(visual.trunk.fc_norm(tokens)), atol=1e-4)


@torch.no_grad()
def test_torchvisions_convnext_is_normed_at_each_place() -> None:
    torch.manual_seed(0)
    setting = torchvision.models.convnext.CNBlockConfig
    module = torchvision.models.ConvNeXt([setting(8, 16, 1), setting(16, None, 1)]).eval()
    images = torch.randn(2, 3, 64, 64)
    values = module.features(images)
    found = find_token_map(module, None, images, module.classifier[:-1](module.avgpool(values)), 1e-5)
    assert found is not None
    assert torch.allclose(found(images), module.classifier[0](values), atol=1e-5)


@torch.no_grad()
def test_a_network_without_places_before_its_end_has_no_token_map() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 5))
    images = torch.randn(2, 3, 4, 4)
    assert find_token_map(network, None, images, network(images), 1e-5) is None


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (64, 128), (96, 32)])
def test_a_patch_that_changes_shows_at_its_own_place(size: tuple[int, int]) -> None:
    """Without blocks no token hears of another, so whatever the image's shape only the place of the changed patch may differ."""
    torch.manual_seed(0)
    module: Any = timm.create_model("test_vit", img_size=size, global_pool="avg").eval()
    module.blocks = nn.Sequential()
    images = torch.randn(2, 3, *size)
    represented = module.forward_head(module.forward_features(images), pre_logits=True)
    found = find_token_map(module, None, images, represented, 1e-5)
    assert isinstance(found, TokenMap)
    changed = images.clone()
    changed[:, :, 16:32, 0:16] += 1.0
    for token_map in (found, replace(found, cut=replace(found.cut, grid=None))):  # the grid told by the network, then by the image's shape
        differs = (token_map(images) - token_map(changed)).abs().amax((0, 1)) > 1e-6
        assert differs.shape == (size[0] // 16, size[1] // 16)
        assert differs.nonzero().tolist() == [[1, 0]]
