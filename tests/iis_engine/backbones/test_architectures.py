"""Building architectures by name: unknown names, arguments and tags are refused with similar ones; fixed widths can be changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm

from iis_engine.backbones.architectures import build_network
from iis_engine.backbones.factory import load_backbone
from iis_engine.errors import ArchitectureError
from iis_engine.specs import BackboneSpec

TINY = BackboneSpec("timm:test_resnet")


def refusal(spec: BackboneSpec, checkpoint: Path | None) -> ArchitectureError:
    with pytest.raises(ArchitectureError) as caught:
        load_backbone(spec, checkpoint)
    assert str(caught.value).endswith(".")
    return caught.value


@pytest.mark.parametrize("architecture", ["resnet18", "keras:resnet", "timm:", "onnx:thing", ""])
def test_something_that_is_not_an_architecture_is_refused(architecture: str, tiny_checkpoint: Path) -> None:
    assert refusal(BackboneSpec(architecture), tiny_checkpoint).code == "architecture_unknown"


@pytest.mark.parametrize(
    ("architecture", "similar"), [("timm:resnet81", "resnet18"), ("torchvision:resnet_18", "resnet18"), ("open_clip:ViT-B32", "ViT-B-32")]
)
def test_an_unknown_name_is_refused_with_similar_ones(architecture: str, similar: str, tiny_checkpoint: Path) -> None:
    error = refusal(BackboneSpec(architecture), tiny_checkpoint)
    assert error.code == "architecture_unknown"
    assert similar in str(error)


@pytest.mark.parametrize("architecture", ["timm:local-dir:/etc", "open_clip:hf-hub:owner/model", "open_clip:local-dir:/etc"])
def test_names_that_would_download_or_read_other_files_are_unknown(architecture: str, tiny_checkpoint: Path) -> None:
    assert refusal(BackboneSpec(architecture), tiny_checkpoint).code == "architecture_unknown"


def test_a_network_of_the_hub_takes_no_other_weights(tiny_checkpoint: Path) -> None:
    error = refusal(BackboneSpec("timm:hf-hub:owner/model"), tiny_checkpoint)
    assert error.code == "architecture_mismatch"
    assert "leave out the checkpoint" in str(error)


@pytest.mark.parametrize("architecture", ["timm:test_resnet", "torchvision:resnet18", "open_clip:RN50"])
@pytest.mark.parametrize("argument", ["checkpoint_path", "pretrained", "weights", "cache_dir", "features_only", "pretrained_cfg"])
def test_arguments_that_do_not_configure_the_network_are_refused(architecture: str, argument: str, tiny_checkpoint: Path) -> None:
    assert argument in str(refusal(BackboneSpec(architecture, {argument: "/etc/passwd"}), tiny_checkpoint))


@pytest.mark.parametrize(
    ("architecture", "argument", "similar"),
    [
        ("timm:mobilenetv2_100", "pad_typ", "pad_type"),
        ("timm:mobilenetv1_100", "channel_multiplyer", "channel_multiplier"),
        ("torchvision:mobilenet_v2", "width_multi", "width_mult"),
        ("open_clip:RN50", "force_quickgelu", "force_quick_gelu"),
    ],
)
def test_an_unknown_argument_is_refused_with_similar_ones(architecture: str, argument: str, similar: str, tiny_checkpoint: Path) -> None:
    error = refusal(BackboneSpec(architecture, {argument: 1}), tiny_checkpoint)
    assert f"has no argument {argument!r}" in str(error)
    assert similar in str(error)


def test_an_invalid_argument_value_is_refused(tiny_checkpoint: Path) -> None:
    assert "cannot be built" in str(refusal(BackboneSpec("timm:test_resnet", {"in_chans": -4}), tiny_checkpoint))
    assert "1 or 3 channels" in str(refusal(BackboneSpec("timm:test_resnet", {"in_chans": 4}), tiny_checkpoint))
    assert "in_chans is null" in str(refusal(BackboneSpec("timm:test_resnet", {"in_chans": None}), tiny_checkpoint))


def test_more_than_one_source_of_weights_is_refused(tiny_checkpoint: Path) -> None:
    assert "more than one" in str(refusal(BackboneSpec("timm:test_resnet", pretrained="default"), tiny_checkpoint))
    assert "more than one" in str(refusal(BackboneSpec("timm:test_resnet", pretrained="default", initial_seed=0), None))


@pytest.mark.parametrize("architecture", ["timm:resnet18", "torchvision:resnet18", "open_clip:RN50"])
def test_an_unknown_tag_is_refused_with_the_existing_ones(architecture: str) -> None:
    error = refusal(BackboneSpec(architecture, pretrained="no_such_tag"), None)
    assert error.code == "pretrained_unknown"
    assert "it has" in str(error)


@pytest.mark.parametrize(
    ("architecture", "tag"), [("timm:test_resnet", "r160_in1k"), ("torchvision:squeezenet1_1", "DEFAULT"), ("open_clip:RN50", "cc12m")]
)
def test_a_failed_download_is_refused_and_suggests_a_checkpoint(
    architecture: str, tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # a closed port
    monkeypatch.setattr("urllib.request._opener", None)  # created once per process, with the proxies of that moment
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    error = refusal(BackboneSpec(architecture, pretrained=tag), None)
    assert error.code == "pretrained_unavailable"
    assert "upload them as a checkpoint" in str(error)


@pytest.mark.parametrize(
    "name", ["mobilenetv1_100", "mobilenetv2_100", "mobilenetv3_large_100", "mobilenetv3_small_100", "efficientnet_b0"]
)
def test_the_fixed_width_of_a_timm_network_can_be_changed_by_an_argument(name: str) -> None:
    """Fails when timm renames its private generators or makes them unnecessary."""
    with pytest.raises(TypeError, match="multiple values"):
        timm.create_model(name, channel_multiplier=0.5)
    one = build_network(BackboneSpec(f"timm:{name}", {"channel_multiplier": 1.0})).module
    assert {key: w.shape for key, w in one.state_dict().items()} == {
        key: w.shape for key, w in timm.create_model(name).state_dict().items()
    }
    half = build_network(BackboneSpec(f"timm:{name}", {"channel_multiplier": 0.5})).module
    assert sum(w.numel() for w in half.parameters()) < 0.7 * sum(w.numel() for w in one.parameters())
