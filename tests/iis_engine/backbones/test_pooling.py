"""Pooling of a named layer: class token, patches, all tokens but registers, attention pool; by values worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import timm
import torch

from iis_engine import BackboneSpec, load_backbone
from iis_engine.backbones.pooling import LayerPooling, TokenLayout
from iis_engine.errors import ArchitectureError, SettingError
from iis_engine.specs import PoolingName

LAYOUT = TokenLayout(class_tokens=1, register_tokens=2, patch_size=(8, 8))
TOKENS = torch.tensor([[[1.0], [100.0], [200.0], [3.0], [5.0], [7.0], [9.0]]])  # class, two registers, four patches


@pytest.mark.parametrize(("pooling", "expected"), [("class", 1.0), ("patches", 6.0), ("all", 5.0), (None, 5.0)])
def test_registers_are_never_averaged(pooling: PoolingName | None, expected: float) -> None:
    assert LayerPooling(pooling, "blocks.1", LAYOUT, (16, 16))(TOKENS).item() == expected


def test_a_layer_with_one_token_per_patch_has_no_class_token() -> None:
    patches = TOKENS[:, 3:]
    assert LayerPooling(None, "patch_embed", LAYOUT, (16, 16))(patches).item() == 6.0
    with pytest.raises(ArchitectureError, match="no class token"):
        LayerPooling("class", "patch_embed", LAYOUT, (16, 16))(patches)


def test_maps_have_patches_alone() -> None:
    maps = torch.arange(8.0).reshape(1, 2, 2, 2)
    for pooling in ("patches", "all"):
        assert LayerPooling(pooling, "layer4", TokenLayout(), (16, 16))(maps).tolist() == [[1.5, 5.5]]
    with pytest.raises(ArchitectureError, match="no class token"):
        LayerPooling("class", "layer4", TokenLayout(), (16, 16))(maps)


def test_vectors_have_no_pooling() -> None:
    vectors = torch.ones(2, 3)
    assert LayerPooling(None, "fc_norm", LAYOUT, (16, 16))(vectors) is vectors
    with pytest.raises(ArchitectureError, match="leave pooling out"):
        LayerPooling("all", "fc_norm", LAYOUT, (16, 16))(vectors)


def test_pooling_needs_a_layer_and_a_known_name() -> None:
    with pytest.raises(SettingError, match="applies to a named layer"):
        BackboneSpec("timm:test_vit", pooling="class")
    with pytest.raises(SettingError, match="is not a pooling"):
        BackboneSpec("timm:test_vit", layer="norm", pooling="max")  # type: ignore[arg-type]


def test_tokens_of_a_timm_network_are_known_and_the_digest_depends_on_the_pooling(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"img_size": 56, "depth": 2, "embed_dim": 48, "num_heads": 3, "num_classes": 0}
    torch.manual_seed(0)
    network = cast(Any, timm.create_model)("vit_small_patch14_reg4_dinov2", **arguments).eval()
    torch.save(network.state_dict(), tmp_path / "w.pt")
    images = torch.randn(2, 3, 56, 56)
    with torch.no_grad():
        tokens = network.forward_features(images)  # class, 4 registers, 16 patches
    expected = {"class": tokens[:, 0], "patches": tokens[:, 5:].mean(1)}
    digests = set[str]()
    for pooling, value in expected.items():
        spec = BackboneSpec("timm:vit_small_patch14_reg4_dinov2", arguments, layer="norm", pooling=pooling)  # type: ignore[arg-type]
        backbone = load_backbone(spec, tmp_path / "w.pt", device="cpu")
        assert torch.allclose(backbone.embed(images), value, atol=1e-6)
        digests.add(backbone.digest)
    assert len(digests) == 2


def test_the_attention_pool_of_a_network_pools_any_layer(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"img_size": 32, "depth": 2, "embed_dim": 48, "num_heads": 3, "num_classes": 0}
    torch.manual_seed(0)
    network = cast(Any, timm.create_model)("vit_base_patch16_siglip_224", **arguments).eval()
    torch.save(network.state_dict(), tmp_path / "w.pt")
    spec = BackboneSpec("timm:vit_base_patch16_siglip_224", arguments, layer="blocks.0", pooling="map")
    images, seen = torch.randn(2, 3, 32, 32), list[torch.Tensor]()

    def record(_module: object, _inputs: object, output: torch.Tensor) -> None:
        seen.append(output)

    network.blocks[0].register_forward_hook(record)
    with torch.no_grad():
        network(images)
        expected = network.attn_pool(seen[0])
    assert torch.allclose(load_backbone(spec, tmp_path / "w.pt", device="cpu").embed(images), expected, atol=1e-6)
