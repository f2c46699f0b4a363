"""Untrained networks: initialised from a seed, reproducible, without changing the process's random state."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from iis_engine.backbones.factory import load_backbone
from iis_engine.errors import ArchitectureError, SettingError
from iis_engine.specs import BackboneSpec, Preprocessing

ARCHITECTURES = ["timm:test_resnet", "timm:test_vit", "torchvision:mobilenet_v3_small"]


def untrained(seed: int, architecture: str = "timm:test_resnet") -> BackboneSpec:
    return BackboneSpec(architecture, preprocessing=Preprocessing(input_size=160), initial_seed=seed)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_equal_seeds_give_equal_networks_and_other_seeds_others(architecture: str) -> None:
    first, again, other = (load_backbone(untrained(seed, architecture), None, device="cpu") for seed in (3, 3, 4))
    images = torch.randn(2, 3, *first.input_size)
    assert torch.equal(first.embed(images), again.embed(images))
    assert first.digest == again.digest != other.digest
    assert not torch.allclose(first.embed(images), other.embed(images), atol=0)  # exactly, because untrained networks can have tiny outputs


def test_an_untrained_network_equals_the_librarys_own_initialisation() -> None:
    import timm
    from timm.models import ResNet

    torch.manual_seed(11)
    own = timm.create_model("test_resnet").eval()
    assert isinstance(own, ResNet)
    backbone = load_backbone(untrained(11), None, device="cpu")
    images = torch.randn(2, 3, *backbone.input_size)
    with torch.no_grad():
        expected = own.forward_head(own.forward_features(images), pre_logits=True)
    assert torch.allclose(backbone.embed(images), expected, atol=1e-5)


def test_loading_an_untrained_network_preserves_the_random_state() -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    load_backbone(untrained(0), None, device="cpu")
    assert torch.equal(torch.rand(4), expected)


def test_the_seed_is_described_and_the_digest_depends_on_the_weights_alone(tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(2)
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "same.safetensors")
    spec = untrained(2)
    backbone = load_backbone(spec, None, device="cpu")
    saved = load_backbone(BackboneSpec(spec.architecture, preprocessing=spec.preprocessing), tmp_path / "same.safetensors", device="cpu")
    assert backbone.describe()["initial_seed"] == 2
    assert saved.describe()["initial_seed"] is None
    assert backbone.digest == saved.digest


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(SettingError, match="initial_seed"):
        BackboneSpec("timm:test_resnet", initial_seed=seed)


def test_an_onnx_file_has_no_untrained_form(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match="untrained") as refused:
        load_backbone(BackboneSpec("onnx", initial_seed=0), tmp_path / "network.onnx")
    assert refused.value.param == "initial_seed"
