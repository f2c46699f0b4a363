"""Networks as published: what the tag, the file or the tags of a name decide, and keys as libraries rename them."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import open_clip
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from iis_engine import BackboneSpec, load_backbone
from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.checkpoints.weights_source import WeightsSource
from iis_engine.backbones.open_clip_weights import weights_settings
from iis_engine.errors import ArchitectureError

TINY_VISION = {"layers": 2, "width": 64, "head_width": 32, "patch_size": 32, "image_size": 64}
TINY_CLIP: dict[str, Any] = {"embed_dim": 32, "vision_cfg": TINY_VISION}
TINY_TEXT = {"context_length": 8, "vocab_size": 8, "width": 32, "heads": 1, "layers": 1}
OPENAI_NUMBERS = {"input_resolution": torch.tensor(64), "context_length": torch.tensor(77), "vocab_size": torch.tensor(49408)}


def load(stored: dict[str, Any], path: Path, architecture: str, arguments: dict[str, Any] | None = None, **options: Any) -> Backbone:
    torch.save(stored, path / "weights.pth")
    return load_backbone(BackboneSpec(architecture, arguments or {}, **options), path / "weights.pth", device="cpu")


def largest_difference(backbone: Backbone, expected: Callable[[Tensor], Tensor]) -> float:
    torch.manual_seed(1)
    images = torch.randn(2, 3, *backbone.input_size)
    with torch.no_grad():
        return float((backbone.embed(images) - expected(images)).abs().max())


def quick_clip() -> Any:
    torch.manual_seed(0)
    return open_clip.create_model("ViT-B-32-quickgelu", pretrained_text=False, **deepcopy(TINY_CLIP), text_cfg=dict(TINY_TEXT)).eval()


def test_files_of_openai_are_recognised_by_their_three_numbers(tmp_path: Path) -> None:
    clip = quick_clip()
    backbone = load({**clip.state_dict(), **OPENAI_NUMBERS}, tmp_path, "open_clip:ViT-B-32", TINY_CLIP)
    assert largest_difference(backbone, clip.visual) < 1e-6
    assert "QuickGELU" in " ".join(backbone.notes)


def test_the_origin_of_a_file_decides_its_activation(tmp_path: Path) -> None:
    clip = quick_clip()
    plain = load(clip.state_dict(), tmp_path, "open_clip:ViT-B-32", TINY_CLIP)
    named = load(clip.state_dict(), tmp_path, "open_clip:ViT-B-32", TINY_CLIP, weights_of="metaclip_400m")
    assert largest_difference(plain, clip.visual) > 1e-5
    assert "GELU was assumed" in " ".join(plain.notes)
    assert largest_difference(named, clip.visual) < 1e-6
    assert plain.digest != named.digest


def test_every_published_tag_with_quickgelu_is_built_with_it() -> None:
    wrong = [
        (name, tag)
        for name, tag in open_clip.list_pretrained()
        if (config := open_clip.get_pretrained_cfg(name, tag)).get("quick_gelu", False)
        and not (open_clip.get_model_config(name) or {}).get("quick_gelu", False)
        and not weights_settings(name, {}, WeightsSource(pretrained=tag)).quick_gelu
        and config
    ]
    assert wrong == []
    assert weights_settings("ViT-B-16", {}, WeightsSource(pretrained="openai")).quick_gelu
    assert not weights_settings("ViT-B-16", {}, WeightsSource(pretrained="laion2b_s34b_b88k")).quick_gelu
    assert not weights_settings("ViT-B-16", {"force_quick_gelu": False}, WeightsSource(pretrained="openai")).quick_gelu


def test_a_preprocessing_that_all_tags_of_a_name_share_is_used() -> None:
    settings = weights_settings("ViT-B-16-SigLIP", {}, WeightsSource())
    assert settings.preprocessing == {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "resize_mode": "squash"}
    assert "share" in settings.notes[0]
    differing = weights_settings("ViT-L-14", {}, WeightsSource())
    assert differing.preprocessing == {}
    assert "have another: commonpool_xl_clip_s13b_b90k" in differing.notes[1] or "have another" in differing.notes[1]


def test_the_tag_of_timm_decides_the_preprocessing(tmp_path: Path) -> None:
    name: str = "timm:vit_small_patch16_224"
    arguments: dict[str, Any] = {"num_classes": 0, "depth": 1}
    stored = cast(Any, timm.create_model)("vit_small_patch16_224", **arguments).state_dict()
    plain, named = load(stored, tmp_path, name, arguments), load(stored, tmp_path, name, arguments, weights_of="dino")
    assert (plain.transform.mean, named.transform.mean) == ((0.5, 0.5, 0.5), (0.485, 0.456, 0.406))
    assert "differs for the tags dino" in " ".join(plain.notes)
    assert named.notes == ()
    with pytest.raises(ArchitectureError, match="no published weights 'dinov9'"):
        load(stored, tmp_path, name, arguments, weights_of="dinov9")


def test_weights_of_needs_a_file() -> None:
    with pytest.raises(ArchitectureError, match="weights_of names the published weights that a checkpoint file comes from"):
        load_backbone(BackboneSpec("timm:test_resnet", initial_seed=0, weights_of="r160_in1k"), None)


def test_positions_of_another_size_are_resized_and_noted_but_patches_are_not(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"num_classes": 0, "depth": 1}
    stored = cast(Any, timm.create_model)("vit_tiny_patch16_224", img_size=96, **arguments).state_dict()
    backbone = load(stored, tmp_path, "timm:vit_tiny_patch16_224", arguments)
    assert "resized from 1 x 37 x 192 to 1 x 197 x 192" in " ".join(backbone.notes)
    other = cast(Any, timm.create_model)("vit_small_patch32_224", **arguments).state_dict()
    with pytest.raises(ArchitectureError, match=r"patch_embed\.proj\.weight is"):
        load(other, tmp_path, "timm:vit_small_patch16_224", arguments)


@pytest.mark.parametrize("size", [[128, 64], [96, 96], 96])
def test_img_size_is_the_input_size(size: list[int] | int, tmp_path: Path) -> None:
    network = cast(Any, timm.create_model)("vit_tiny_patch16_224", num_classes=0, img_size=size)
    backbone = load(network.state_dict(), tmp_path, "timm:vit_tiny_patch16_224", {"num_classes": 0, "img_size": size})
    assert backbone.input_size == (tuple(size) if isinstance(size, list) else (size, size))


def test_files_of_the_authors_of_dinov2_and_masked_autoencoders_fit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    arguments: dict[str, Any] = {"img_size": 56, "depth": 2, "embed_dim": 48, "num_heads": 3, "num_classes": 0}
    network = cast(Any, timm.create_model)("vit_small_patch14_reg4_dinov2", **arguments).eval()
    own = network.state_dict()
    authors = {key: value for key, value in own.items() if key not in ("reg_token", "cls_token", "pos_embed")}
    authors["register_tokens"], authors["mask_token"] = own["reg_token"], torch.zeros(1, 48)
    authors["cls_token"] = own["cls_token"] - 0.5
    authors["pos_embed"] = torch.cat([torch.full((1, 1, 48), 0.5), own["pos_embed"]], 1)
    backbone = load(authors, tmp_path, "timm:vit_small_patch14_reg4_dinov2", arguments)
    assert largest_difference(backbone, lambda images: network.forward_head(network.forward_features(images), pre_logits=True)) < 1e-4
    vit, small = cast(Any, timm.create_model)("vit_tiny_patch16_224", num_classes=0, depth=1), {"num_classes": 0, "depth": 1}
    decoder: dict[str, Tensor] = {"mask_token": torch.zeros(1, 1, 8), "decoder_blocks.0.norm.weight": torch.ones(8)}
    assert "decoder_blocks" in " ".join(load({**vit.state_dict(), **decoder}, tmp_path, "timm:vit_tiny_patch16_224", small).notes)


def test_files_of_the_authors_of_convnext_fit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    arguments: dict[str, Any] = {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32], "num_classes": 4}
    network = cast(Any, timm.create_model)("convnext_atto", conv_mlp=False, **arguments).eval()
    authors = dict[str, Tensor]()
    for key, value in network.state_dict().items():
        renamed = re.sub(r"^stem\.", "downsample_layers.0.", key)
        renamed = re.sub(r"^stages\.(\d)\.downsample\.", r"downsample_layers.\1.", renamed)
        renamed = re.sub(r"\.blocks\.(\d)\.", r".\1.", renamed).replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv")
        authors[renamed.replace("head.norm", "norm").replace("head.fc", "head")] = value
    backbone = load(authors, tmp_path, "timm:convnext_atto", {"conv_mlp": False, **arguments})
    assert largest_difference(backbone, lambda images: network.forward_head(network.forward_features(images), pre_logits=True)) < 1e-5
    assert "renamed" in " ".join(backbone.notes)


def test_keys_of_torchvisions_published_files_are_renamed(tmp_path: Path) -> None:
    torch.manual_seed(0)
    dense = torchvision.models.densenet121(weights=None)
    stored = {re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)\.", r"\1.\2.", key): value for key, value in dense.state_dict().items()}
    assert "renamed" in " ".join(load(stored, tmp_path, "torchvision:densenet121").notes)


def test_auxiliary_heads_and_replaced_classifiers_may_differ(tmp_path: Path) -> None:
    mobile: Any = torchvision.models.mobilenet_v2(weights=None)
    mobile.classifier = nn.Linear(1280, 5)
    assert "classifier.weight" in " ".join(load(mobile.state_dict(), tmp_path, "torchvision:mobilenet_v2").notes)
    google: Any = torchvision.models.googlenet(weights=None, init_weights=False)
    google.aux1.fc2, google.fc = nn.Linear(1024, 2), nn.Linear(1024, 2)
    notes = " ".join(load(google.state_dict(), tmp_path, "torchvision:googlenet", {"init_weights": False}).notes)
    assert "aux1.fc2.weight" in notes
    assert "transform_input=true" in notes


def test_weights_of_sets_the_input_transform_of_googlenet(tmp_path: Path) -> None:
    google = torchvision.models.googlenet(weights=None, init_weights=False, transform_input=True, aux_logits=False).eval()
    google.fc = nn.Identity()  # type: ignore[assignment]
    arguments: dict[str, Any] = {"init_weights": False, "aux_logits": False}
    backbone = load(google.state_dict(), tmp_path, "torchvision:googlenet", arguments, weights_of="IMAGENET1K_V1")
    assert largest_difference(backbone, google) < 1e-5
    assert backbone.notes == ()
