"""Torch backbones: representation, feature map, preprocessing and digest of timm, torchvision and open_clip networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn

from iis_engine.backbones.factory import load_backbone
from iis_engine.errors import ArchitectureError, SettingError
from iis_engine.specs import BackboneSpec, Preprocessing

CLIP_CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
}
TINY = BackboneSpec("timm:test_resnet")
IMAGENET_ENTRIES = {
    "imagenet_mobilenetv1_025": ("mobilenetv1_100", {"channel_multiplier": 0.25, "pad_type": "same"}, 128, 256),
    "imagenet_mobilenetv1_075": ("mobilenetv1_100", {"channel_multiplier": 0.75, "pad_type": "same"}, 192, 768),
    "imagenet_mobilenetv1_100_nohead": ("mobilenetv1_100", {"pad_type": "same"}, 224, 1024),
    "imagenet_mobilenetv2_100_tf2ptq": ("mobilenetv2_100", {"pad_type": "same"}, 224, 1280),
}


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


def refusal(spec: BackboneSpec, checkpoint: Path | None) -> ArchitectureError:
    with pytest.raises(ArchitectureError) as caught:
        load_backbone(spec, checkpoint)
    assert str(caught.value).endswith(".")
    return caught.value


def test_a_timm_network_uses_its_pooled_features_and_its_own_preprocessing(
    tiny_network: Any, tiny_checkpoint: Path, photo: Image.Image
) -> None:
    backbone = load_backbone(TINY, tiny_checkpoint, device="cpu")
    transform = cast(Any, create_transform(**resolve_model_data_config(tiny_network), is_training=False))
    batch = torch.stack([backbone.preprocess(photo), backbone.preprocess(photo.rotate(180))])
    assert torch.allclose(batch[0], transform(photo), atol=1e-5)
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
def test_a_torchvision_network_is_represented_by_the_input_of_its_last_linear_layer(name: str, tmp_path: Path, photo: Image.Image) -> None:
    torch.manual_seed(0)
    module: Any = torchvision.models.get_model(name, weights=None).eval()
    backbone = load_backbone(BackboneSpec(f"torchvision:{name}"), save(module, tmp_path / "w.safetensors"))
    own = torchvision.models.get_model_weights(name)["DEFAULT"].transforms()
    batch = backbone.preprocess(photo)[None]
    assert torch.allclose(batch[0], own(photo), atol=1e-5)
    features = backbone.embed(batch)
    with torch.no_grad():
        if name.startswith("squeezenet"):  # the classifier is a convolution before the averaging; both are linear and commute
            maps = backbone.feature_map(batch)
            assert maps is not None
            positive = nn.functional.relu(nn.functional.conv2d(maps, module.classifier[1].weight, module.classifier[1].bias))
            assert torch.allclose(positive.mean((2, 3)), module(batch), atol=1e-4)
        else:
            last = [part for part in module.modules() if isinstance(part, nn.Linear)][-1]
            assert torch.allclose(last(features), module(batch), atol=1e-4)


def test_an_open_clip_network_is_represented_by_its_image_embedding(clip_name: str, tmp_path: Path, photo: Image.Image) -> None:
    torch.manual_seed(0)
    clip: Any = open_clip.create_model(clip_name).eval()
    whole = load_backbone(BackboneSpec(f"open_clip:{clip_name}"), save(clip, tmp_path / "whole.safetensors"))
    tower = load_backbone(BackboneSpec(f"open_clip:{clip_name}"), save(clip.visual, tmp_path / "tower.safetensors"))
    batch = whole.preprocess(photo)[None]
    own = cast(Any, open_clip.image_transform(32, is_train=False))
    assert torch.allclose(batch[0], own(photo), atol=1e-5)
    with torch.no_grad():
        expected = clip.encode_image(batch)
    assert torch.allclose(whole.embed(batch), expected, atol=1e-5)
    assert torch.equal(whole.embed(batch), tower.embed(batch))
    assert whole.digest == tower.digest


def test_a_checkpoint_without_an_image_tower_does_not_fit_open_clip(clip_name: str, tmp_path: Path) -> None:
    clip: Any = open_clip.create_model(clip_name)
    save_file({"text_projection": clip.text_projection.detach()}, tmp_path / "w.safetensors")
    with pytest.raises(ArchitectureError, match="missing keys class_embedding"):
        load_backbone(BackboneSpec(f"open_clip:{clip_name}"), tmp_path / "w.safetensors")


def test_a_named_layer_is_averaged_over_positions(tiny_network: Any, tiny_checkpoint: Path) -> None:
    backbone = load_backbone(BackboneSpec("timm:test_resnet", layer="layer2"), tiny_checkpoint)
    batch = torch.randn(2, 3, *backbone.input_size)
    outputs = list[Tensor]()

    def keep_output(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        outputs.append(output)

    with torch.no_grad(), tiny_network.layer2.register_forward_hook(keep_output):
        tiny_network(batch)
    maps = backbone.feature_map(batch)
    assert maps is not None
    assert torch.allclose(backbone.embed(batch), outputs[0].mean((2, 3)), atol=1e-5)
    assert torch.allclose(maps, outputs[0], atol=1e-5)


def test_a_named_token_layer_is_averaged_over_tokens(tmp_path: Path) -> None:
    module = timm.create_model("test_vit").eval()
    backbone = load_backbone(BackboneSpec("timm:test_vit", layer="blocks.1"), save(module, tmp_path / "w.safetensors"))
    assert backbone.embed(torch.randn(2, 3, *backbone.input_size)).shape == (2, module.num_features)


def test_the_classifier_may_be_missing_or_of_any_class_count(tiny_network: nn.Module, tiny_checkpoint: Path, tmp_path: Path) -> None:
    state = {key: tensor for key, tensor in tiny_network.state_dict().items() if not key.startswith("fc.")}
    save_file(state, tmp_path / "nohead.safetensors")
    save_file({**state, "fc.weight": torch.zeros(3, 64), "fc.bias": torch.zeros(3)}, tmp_path / "three.safetensors")
    digests = {
        load_backbone(TINY, path).digest for path in (tiny_checkpoint, tmp_path / "nohead.safetensors", tmp_path / "three.safetensors")
    }
    assert len(digests) == 1


def test_a_layer_in_the_classifier_requires_its_weights(tiny_network: nn.Module, tmp_path: Path) -> None:
    save_file({key: tensor for key, tensor in tiny_network.state_dict().items() if not key.startswith("fc.")}, tmp_path / "w.safetensors")
    with pytest.raises(ArchitectureError, match=r"missing keys fc\.weight, fc\.bias"):
        load_backbone(BackboneSpec("timm:test_resnet", layer="fc"), tmp_path / "w.safetensors")


def test_the_digest_depends_on_weights_arguments_layer_and_preprocessing(
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


def test_every_part_of_the_preprocessing_can_be_overridden(tiny_checkpoint: Path, photo: Image.Image) -> None:
    wanted = Preprocessing(input_size=64, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7), interpolation="bilinear", crop_pct=0.8)
    backbone = load_backbone(BackboneSpec("timm:test_resnet", preprocessing=wanted), tiny_checkpoint)
    statistics: dict[str, Any] = {"mean": wanted.mean, "std": wanted.std}
    own = cast(Any, create_transform((3, 64, 64), is_training=False, interpolation="bilinear", crop_pct=0.8, **statistics))
    assert torch.allclose(backbone.preprocess(photo), own(photo), atol=1e-5)
    assert backbone.describe()["preprocessing"]["mean"] == [0.1, 0.2, 0.3]


def test_an_element_is_resized_without_cropping(tiny_checkpoint: Path) -> None:
    crop = Image.new("RGB", (20, 60), (0, 0, 0))
    crop.paste((255, 255, 255), (0, 0, 20, 4))  # a centre crop would remove this edge
    backbone = load_backbone(TINY, tiny_checkpoint)
    assert backbone.preprocess_element(crop)[0, 0].min() > backbone.preprocess_element(crop)[0, -1].max()


def test_a_network_of_one_channel_receives_grey_images(tmp_path: Path, photo: Image.Image) -> None:
    arguments: dict[str, Any] = {"in_chans": 1}
    checkpoint = save(timm.create_model("test_resnet", **arguments), tmp_path / "w.safetensors")
    backbone = load_backbone(BackboneSpec("timm:test_resnet", arguments), checkpoint)
    assert backbone.preprocess(photo).shape == (1, *backbone.input_size)
    assert torch.equal(backbone.preprocess(photo), backbone.preprocess(photo.convert("L").convert("RGB")))


def test_the_description_is_json_and_excludes_the_classifier(tiny_network: nn.Module, tiny_checkpoint: Path) -> None:
    described = json.loads(json.dumps(load_backbone(TINY, tiny_checkpoint).describe()))
    assert described["architecture"] == "timm:test_resnet"
    assert described["num_features"] == 96
    assert described["input_size"] == [160, 160]
    assert described["parameter_count"] == sum(w.numel() for key, w in tiny_network.named_parameters() if not key.startswith("fc."))


def test_an_unknown_layer_is_refused_with_similar_ones(tiny_checkpoint: Path) -> None:
    error = refusal(BackboneSpec("timm:test_resnet", layer="layer22"), tiny_checkpoint)
    assert error.code == "layer_unknown"
    assert "layer2" in str(error)


def test_weights_of_another_architecture_are_refused_with_keys(tiny_checkpoint: Path) -> None:
    assert "missing keys" in str(refusal(BackboneSpec("timm:test_vit"), tiny_checkpoint))


def test_weights_of_another_width_are_refused_with_shapes(tiny_checkpoint: Path) -> None:
    error = refusal(BackboneSpec("timm:test_resnet", {"in_chans": 1}), tiny_checkpoint)
    assert "in the file and" in str(error)


def test_an_unsupported_input_size_is_refused(tmp_path: Path) -> None:
    checkpoint = save(timm.create_model("test_vit"), tmp_path / "w.safetensors")
    error = refusal(BackboneSpec("timm:test_vit", preprocessing=Preprocessing(input_size=33)), checkpoint)
    assert "rejects an input of 3 x 33 x 33" in str(error)


@pytest.mark.parametrize(
    "wanted",
    [
        Preprocessing(input_size=0),
        Preprocessing(input_size=99999),
        Preprocessing(crop_pct=2.0),
        Preprocessing(std=(0.0, 1.0, 1.0)),
        Preprocessing(interpolation=cast(Any, "lanczos")),
    ],
)
def test_invalid_preprocessing_is_refused(wanted: Preprocessing, tiny_checkpoint: Path) -> None:
    assert refusal(BackboneSpec("timm:test_resnet", preprocessing=wanted), tiny_checkpoint).param == "preprocessing"


def test_weights_whose_representation_overflows_are_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    state = {key: tensor * 1e30 if key.endswith("weight") else tensor for key, tensor in load_file(tiny_checkpoint).items()}
    save_file(state, tmp_path / "huge.safetensors")
    assert refusal(TINY, tmp_path / "huge.safetensors").code == "representation_not_finite"


def test_a_missing_device_is_refused(tiny_checkpoint: Path) -> None:
    with pytest.raises(SettingError, match="is not a device"):
        load_backbone(TINY, tiny_checkpoint, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(SettingError, match="no CUDA device"):
            load_backbone(TINY, tiny_checkpoint, device="cuda")


@pytest.mark.parametrize("name", IMAGENET_ENTRIES)
def test_real_imagenet_networks_distinguish_flowers(name: str, shared_data: Path) -> None:
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
