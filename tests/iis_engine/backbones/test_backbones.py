"""f from timm, torchvision and open_clip: what is loaded, what is its representation, and each refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.data import create_transform, resolve_model_data_config
from torch import nn

from iis_engine.backbones.architectures import build_network
from iis_engine.backbones.factory import load_backbone
from iis_engine.errors import ArchitectureError, SettingError
from iis_engine.specs import BackboneSpec, Preprocessing

CLIP_CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
}
TINY = BackboneSpec("timm:test_resnet")


@pytest.fixture
def photo() -> Image.Image:
    pixels = np.random.default_rng(5).integers(0, 256, (90, 140, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((280, 180))


@pytest.fixture(scope="session")
def clip_name(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("clip") / "tiny-test-clip.json"
    path.write_text(json.dumps(CLIP_CONFIG))
    open_clip.add_model_config(path)
    return "tiny-test-clip"


def save(module: nn.Module, path: Path) -> Path:
    save_file({key: tensor.contiguous() for key, tensor in module.state_dict().items()}, path)
    return path


def test_timms_representation_is_its_pooled_features_and_its_own_preprocessing(
    tiny_network: Any, tiny_checkpoint: Path, photo: Image.Image
) -> None:
    backbone = load_backbone(TINY, tiny_checkpoint, device="cpu")
    transform = create_transform(**resolve_model_data_config(tiny_network), is_training=False)
    batch = torch.stack([backbone.preprocess(photo), backbone.preprocess(photo.rotate(180))])
    assert torch.allclose(batch[0], transform(photo), atol=1e-5)  # type: ignore[operator]
    with torch.no_grad():
        expected = tiny_network.forward_head(tiny_network.forward_features(batch), pre_logits=True)
    features = backbone.embed(batch)
    assert features.dtype == torch.float32
    assert torch.allclose(features, expected, atol=1e-5)
    assert backbone.num_features == tiny_network.num_features
    assert not features.requires_grad


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_byobnet"])
def test_the_feature_map_averages_to_the_representation(name: str, tmp_path: Path) -> None:
    backbone = load_backbone(BackboneSpec(f"timm:{name}"), save(timm.create_model(name), tmp_path / "w.safetensors"))
    batch = torch.randn(3, 3, *backbone.input_size)
    maps = backbone.feature_map(batch)
    assert maps is not None
    assert maps.shape[2:].numel() > 1
    assert torch.allclose(maps.mean((2, 3)), backbone.embed(batch), atol=1e-4)


def test_a_network_that_does_not_end_in_average_pooling_has_no_feature_map(tmp_path: Path) -> None:
    backbone = load_backbone(BackboneSpec("timm:test_vit"), save(timm.create_model("test_vit"), tmp_path / "w.safetensors"))
    assert backbone.feature_map(torch.randn(2, 3, *backbone.input_size)) is None
    assert backbone.describe()["feature_map"] is False


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_torchvisions_representation_is_the_input_of_its_last_linear_layer(name: str, tmp_path: Path, photo: Image.Image) -> None:
    torch.manual_seed(0)
    module = torchvision.models.get_model(name, weights=None).eval()
    backbone = load_backbone(BackboneSpec(f"torchvision:{name}"), save(module, tmp_path / "w.safetensors"))
    own = torchvision.models.get_model_weights(name).DEFAULT.transforms()  # type: ignore[attr-defined]
    batch = backbone.preprocess(photo)[None]
    assert torch.allclose(batch[0], own(photo), atol=1e-5)
    features = backbone.embed(batch)
    with torch.no_grad():
        if name.startswith("squeezenet"):  # a convolution classifies, then the map is averaged: both are linear and commute
            weight = module.classifier[1].weight[:, :, 0, 0]  # type: ignore[index, union-attr]
            positive = nn.functional.relu(
                nn.functional.conv2d(backbone.feature_map(batch), weight[:, :, None, None], module.classifier[1].bias)
            )  # type: ignore[arg-type, index, union-attr]
            assert torch.allclose(positive.mean((2, 3)), module(batch), atol=1e-4)
        else:
            last = [part for part in module.modules() if isinstance(part, nn.Linear)][-1]
            assert torch.allclose(last(features), module(batch), atol=1e-4)


def test_open_clips_representation_is_its_image_embedding(clip_name: str, tmp_path: Path, photo: Image.Image) -> None:
    torch.manual_seed(0)
    clip = open_clip.create_model(clip_name).eval()
    whole = load_backbone(BackboneSpec(f"open_clip:{clip_name}"), save(clip, tmp_path / "whole.safetensors"))
    tower = load_backbone(BackboneSpec(f"open_clip:{clip_name}"), save(clip.visual, tmp_path / "tower.safetensors"))  # type: ignore[arg-type]
    batch = whole.preprocess(photo)[None]
    own = open_clip.image_transform(32, is_train=False)
    assert torch.allclose(batch[0], own(photo), atol=1e-5)  # type: ignore[operator]
    with torch.no_grad():
        expected = clip.encode_image(batch)
    assert torch.allclose(whole.embed(batch), expected, atol=1e-5)
    assert torch.equal(whole.embed(batch), tower.embed(batch))
    assert whole.digest == tower.digest


def test_a_text_tower_alone_does_not_fit_open_clip(clip_name: str, tmp_path: Path) -> None:
    clip = open_clip.create_model(clip_name)
    save_file({"text_projection": clip.text_projection.detach()}, tmp_path / "w.safetensors")
    with pytest.raises(ArchitectureError, match="missing keys class_embedding"):
        load_backbone(BackboneSpec(f"open_clip:{clip_name}"), tmp_path / "w.safetensors")


def test_a_named_layer_is_pooled_over_positions(tiny_network: Any, tiny_checkpoint: Path) -> None:
    backbone = load_backbone(BackboneSpec("timm:test_resnet", layer="layer2"), tiny_checkpoint)
    batch = torch.randn(2, 3, *backbone.input_size)
    seen = list[torch.Tensor]()
    handle = tiny_network.layer2.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        tiny_network(batch)
    handle.remove()
    assert torch.allclose(backbone.embed(batch), seen[0].mean((2, 3)), atol=1e-5)
    assert torch.allclose(backbone.feature_map(batch), seen[0], atol=1e-5)  # type: ignore[arg-type]


def test_a_named_token_layer_is_averaged_over_tokens(tmp_path: Path) -> None:
    module = timm.create_model("test_vit").eval()
    backbone = load_backbone(BackboneSpec("timm:test_vit", layer="blocks.1"), save(module, tmp_path / "w.safetensors"))
    assert backbone.embed(torch.randn(2, 3, *backbone.input_size)).shape == (2, module.num_features)


def test_the_classifier_may_be_absent_or_of_any_class_count(tiny_network: nn.Module, tiny_checkpoint: Path, tmp_path: Path) -> None:
    state = {key: tensor for key, tensor in tiny_network.state_dict().items() if not key.startswith("fc.")}
    save_file(state, tmp_path / "nohead.safetensors")
    save_file({**state, "fc.weight": torch.zeros(3, 64), "fc.bias": torch.zeros(3)}, tmp_path / "three.safetensors")
    digests = {
        load_backbone(TINY, path).digest for path in (tiny_checkpoint, tmp_path / "nohead.safetensors", tmp_path / "three.safetensors")
    }
    assert len(digests) == 1


def test_but_a_layer_in_the_classifier_needs_the_classifier(tiny_network: nn.Module, tmp_path: Path) -> None:
    save_file({key: tensor for key, tensor in tiny_network.state_dict().items() if not key.startswith("fc.")}, tmp_path / "w.safetensors")
    with pytest.raises(ArchitectureError, match=r"missing keys fc\.weight, fc\.bias"):
        load_backbone(BackboneSpec("timm:test_resnet", layer="fc"), tmp_path / "w.safetensors")


def test_the_digest_follows_weights_arguments_layer_and_preprocessing(
    tiny_network: nn.Module, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    state = load_file(tiny_checkpoint)
    state["conv1.0.weight"][0, 0, 0, 0] += 1
    save_file(state, tmp_path / "changed.safetensors")
    specs = [
        TINY,
        BackboneSpec("timm:test_resnet", layer="layer3"),
        BackboneSpec("timm:test_resnet", {"global_pool": "max"}),
        BackboneSpec("timm:test_resnet", preprocessing=Preprocessing(input_size=96)),
    ]
    digests = [load_backbone(spec, tiny_checkpoint).digest for spec in specs]
    digests.append(load_backbone(TINY, tmp_path / "changed.safetensors").digest)
    assert len(set(digests)) == 5
    assert load_backbone(TINY, tiny_checkpoint).digest == digests[0]


def test_preprocessing_can_be_overridden_in_every_part(tiny_checkpoint: Path, photo: Image.Image) -> None:
    wanted = Preprocessing(input_size=64, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7), interpolation="bilinear", crop_pct=0.8)
    backbone = load_backbone(BackboneSpec("timm:test_resnet", preprocessing=wanted), tiny_checkpoint)
    own = create_transform((3, 64, 64), is_training=False, mean=wanted.mean, std=wanted.std, interpolation="bilinear", crop_pct=0.8)  # type: ignore[arg-type]
    assert torch.allclose(backbone.preprocess(photo), own(photo), atol=1e-5)  # type: ignore[operator]
    assert backbone.describe()["preprocessing"]["mean"] == [0.1, 0.2, 0.3]


def test_an_element_is_resized_whole(tiny_checkpoint: Path) -> None:
    crop = Image.new("RGB", (20, 60), (0, 0, 0))
    crop.paste((255, 255, 255), (0, 0, 20, 4))  # a centre crop would cut this edge off
    backbone = load_backbone(TINY, tiny_checkpoint)
    assert backbone.preprocess_element(crop)[0, 0].min() > backbone.preprocess_element(crop)[0, -1].max()


def test_networks_of_grey_images_see_grey_images(tmp_path: Path, photo: Image.Image) -> None:
    arguments = {"in_chans": 1}
    checkpoint = save(timm.create_model("test_resnet", **arguments), tmp_path / "w.safetensors")
    backbone = load_backbone(BackboneSpec("timm:test_resnet", arguments), checkpoint)
    assert backbone.preprocess(photo).shape == (1, *backbone.input_size)
    assert torch.equal(backbone.preprocess(photo), backbone.preprocess(photo.convert("L").convert("RGB")))


def test_what_was_loaded_is_described_as_json(tiny_network: nn.Module, tiny_checkpoint: Path) -> None:
    described = json.loads(json.dumps(load_backbone(TINY, tiny_checkpoint).describe()))
    assert described["architecture"] == "timm:test_resnet"
    assert described["num_features"] == 96
    assert described["input_size"] == [160, 160]
    assert described["parameter_count"] == sum(w.numel() for key, w in tiny_network.named_parameters() if not key.startswith("fc."))


def refusal(spec: BackboneSpec, checkpoint: Path | None) -> ArchitectureError:
    with pytest.raises(ArchitectureError) as caught:
        load_backbone(spec, checkpoint)
    assert str(caught.value).endswith(".")
    return caught.value


@pytest.mark.parametrize("architecture", ["resnet18", "keras:resnet", "timm:", "onnx:thing", ""])
def test_something_that_is_not_an_architecture_is_refused(architecture: str, tiny_checkpoint: Path) -> None:
    assert refusal(BackboneSpec(architecture), tiny_checkpoint).code == "architecture_unknown"


@pytest.mark.parametrize(
    ("architecture", "near"), [("timm:resnet81", "resnet18"), ("torchvision:resnet_18", "resnet18"), ("open_clip:ViT-B32", "ViT-B-32")]
)
def test_an_unknown_name_is_answered_with_near_ones(architecture: str, near: str, tiny_checkpoint: Path) -> None:
    error = refusal(BackboneSpec(architecture), tiny_checkpoint)
    assert error.code == "architecture_unknown"
    assert near in str(error)


@pytest.mark.parametrize("name", ["hf-hub:somebody/model", "local-dir:/etc"])
@pytest.mark.parametrize("family", ["timm", "open_clip"])
def test_names_that_would_fetch_or_read_other_files_are_unknown(family: str, name: str, tiny_checkpoint: Path) -> None:
    assert refusal(BackboneSpec(f"{family}:{name}"), tiny_checkpoint).code == "architecture_unknown"


@pytest.mark.parametrize("architecture", ["timm:test_resnet", "torchvision:resnet18", "open_clip:RN50"])
@pytest.mark.parametrize("argument", ["checkpoint_path", "pretrained", "weights", "cache_dir", "features_only", "pretrained_cfg"])
def test_arguments_that_describe_no_network_are_refused(architecture: str, argument: str, tiny_checkpoint: Path) -> None:
    assert argument in str(refusal(BackboneSpec(architecture, {argument: "/etc/passwd"}), tiny_checkpoint))


@pytest.mark.parametrize(
    ("architecture", "argument", "near"),
    [
        ("timm:mobilenetv2_100", "pad_typ", "pad_type"),
        ("timm:mobilenetv1_100", "channel_multiplyer", "channel_multiplier"),
        ("torchvision:mobilenet_v2", "width_multi", "width_mult"),
        ("open_clip:RN50", "force_quickgelu", "force_quick_gelu"),
    ],
)
def test_an_unknown_argument_is_answered_with_near_ones(architecture: str, argument: str, near: str, tiny_checkpoint: Path) -> None:
    error = refusal(BackboneSpec(architecture, {argument: 1}), tiny_checkpoint)
    assert f"has no argument {argument!r}" in str(error)
    assert near in str(error)


def test_a_bad_argument_value_is_a_sentence(tiny_checkpoint: Path) -> None:
    assert "cannot be built" in str(refusal(BackboneSpec("timm:test_resnet", {"in_chans": -4}), tiny_checkpoint))
    assert "1 or 3 channels" in str(refusal(BackboneSpec("timm:test_resnet", {"in_chans": 4}), tiny_checkpoint))
    assert "in_chans is null" in str(refusal(BackboneSpec("timm:test_resnet", {"in_chans": None}), tiny_checkpoint))


def test_an_unknown_layer_is_answered_with_near_ones(tiny_checkpoint: Path) -> None:
    error = refusal(BackboneSpec("timm:test_resnet", layer="layer22"), tiny_checkpoint)
    assert error.code == "layer_unknown"
    assert "layer2" in str(error)


def test_another_architectures_weights_are_refused_with_keys(tiny_checkpoint: Path) -> None:
    assert "missing keys" in str(refusal(BackboneSpec("timm:test_vit"), tiny_checkpoint))


def test_a_width_that_does_not_fit_is_refused_with_shapes(tiny_checkpoint: Path) -> None:
    error = refusal(BackboneSpec("timm:test_resnet", {"in_chans": 1}), tiny_checkpoint)
    assert "in the file and" in str(error)


def test_an_input_size_that_the_network_cannot_take_is_refused(tmp_path: Path) -> None:
    checkpoint = save(timm.create_model("test_vit"), tmp_path / "w.safetensors")
    error = refusal(BackboneSpec("timm:test_vit", preprocessing=Preprocessing(input_size=33)), checkpoint)
    assert "refuses an input of 3 x 33 x 33" in str(error)


@pytest.mark.parametrize(
    "wanted",
    [
        Preprocessing(input_size=0),
        Preprocessing(input_size=99999),
        Preprocessing(crop_pct=2.0),
        Preprocessing(std=(0.0, 1.0, 1.0)),
        Preprocessing(interpolation="lanczos"),  # type: ignore[arg-type]
    ],
)
def test_preprocessing_that_cannot_be_is_refused(wanted: Preprocessing, tiny_checkpoint: Path) -> None:
    assert refusal(BackboneSpec("timm:test_resnet", preprocessing=wanted), tiny_checkpoint).param == "preprocessing"


def test_weights_whose_representation_overflows_are_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    state = {key: tensor * 1e30 if key.endswith("weight") else tensor for key, tensor in load_file(tiny_checkpoint).items()}
    save_file(state, tmp_path / "huge.safetensors")
    assert refusal(TINY, tmp_path / "huge.safetensors").code == "representation_not_finite"


def test_weights_come_from_one_source(tiny_checkpoint: Path) -> None:
    assert "missing" in str(refusal(TINY, None))
    assert "more than one" in str(refusal(BackboneSpec("timm:test_resnet", pretrained="default"), tiny_checkpoint))
    assert "more than one" in str(refusal(BackboneSpec("timm:test_resnet", pretrained="default", initial_seed=0), None))


@pytest.mark.parametrize("architecture", ["timm:resnet18", "torchvision:resnet18", "open_clip:RN50"])
def test_an_unknown_tag_is_answered_with_those_there_are(architecture: str) -> None:
    error = refusal(BackboneSpec(architecture, pretrained="no_such_tag"), None)
    assert error.code == "pretrained_unknown"
    assert "it has" in str(error)


@pytest.mark.parametrize(
    ("architecture", "tag"), [("timm:test_resnet", "r160_in1k"), ("torchvision:squeezenet1_1", "DEFAULT"), ("open_clip:RN50", "cc12m")]
)
def test_published_weights_that_cannot_be_fetched_are_a_sentence(
    architecture: str, tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # a port where nobody answers
    monkeypatch.setattr("urllib.request._opener", None)  # made once a process, with the proxies of that moment
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    error = refusal(BackboneSpec(architecture, pretrained=tag), None)
    assert error.code == "pretrained_unavailable"
    assert "upload them as a checkpoint" in str(error)


def test_a_missing_device_is_refused(tiny_checkpoint: Path) -> None:
    with pytest.raises(SettingError, match="is not a device"):
        load_backbone(TINY, tiny_checkpoint, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(SettingError, match="no CUDA device"):
            load_backbone(TINY, tiny_checkpoint, device="cuda")


@pytest.mark.parametrize(
    "name", ["mobilenetv1_100", "mobilenetv2_100", "mobilenetv3_large_100", "mobilenetv3_small_100", "efficientnet_b0"]
)
def test_timms_fixed_widths_can_be_given_as_an_argument(name: str) -> None:
    """Fails when timm renames its private generators, or makes them unnecessary."""
    with pytest.raises(TypeError, match="multiple values"):
        timm.create_model(name, channel_multiplier=0.5)
    one = build_network(BackboneSpec(f"timm:{name}", {"channel_multiplier": 1.0})).module
    assert {key: w.shape for key, w in one.state_dict().items()} == {
        key: w.shape for key, w in timm.create_model(name).state_dict().items()
    }
    half = build_network(BackboneSpec(f"timm:{name}", {"channel_multiplier": 0.5})).module
    assert sum(w.numel() for w in half.parameters()) < 0.7 * sum(w.numel() for w in one.parameters())


IMAGENET_ENTRIES = {
    "imagenet_mobilenetv1_025": ("mobilenetv1_100", {"channel_multiplier": 0.25, "pad_type": "same"}, 128, 256),
    "imagenet_mobilenetv1_075": ("mobilenetv1_100", {"channel_multiplier": 0.75, "pad_type": "same"}, 192, 768),
    "imagenet_mobilenetv1_100_nohead": ("mobilenetv1_100", {"pad_type": "same"}, 224, 1024),
    "imagenet_mobilenetv2_100_tf2ptq": ("mobilenetv2_100", {"pad_type": "same"}, 224, 1280),
}


@pytest.mark.parametrize("name", IMAGENET_ENTRIES)
def test_real_imagenet_networks_load_and_tell_flowers_apart(name: str, shared_data: Path) -> None:
    architecture, arguments, size, num_features = IMAGENET_ENTRIES[name]
    wanted = Preprocessing(input_size=size, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bicubic", crop_pct=0.875)
    spec = BackboneSpec(f"timm:{architecture}", arguments, preprocessing=wanted)
    backbone = load_backbone(spec, shared_data / "weights" / f"{name}.safetensors")
    assert backbone.num_features == num_features
    folders = [shared_data / "flowers17" / "train" / flower for flower in ("Sunflower", "Snowdrop")]
    photos = [Image.open(path).convert("RGB") for folder in folders for path in sorted(folder.iterdir())[:6]]
    features = nn.functional.normalize(backbone.embed(torch.stack([backbone.preprocess(photo) for photo in photos])), dim=1)
    similarity = features @ features.T
    within = (similarity[:6, :6].sum() + similarity[6:, 6:].sum() - 12) / 60
    assert within > similarity[:6, 6:].mean() + 0.1
