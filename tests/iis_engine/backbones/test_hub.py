"""Networks of the Hub by name: the features of the same files sent by hand, from a local server of the Hub's layout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import transformers
from safetensors.torch import save_file

from iis_engine import BackboneSpec, load_backbone
from iis_engine.backbones.backbone import Backbone
from iis_engine.errors import EngineError
from iis_engine.specs import Preprocessing
from support.hub_server import commit_of, hub_of

hf: Any = transformers
NAME = "org/net"
VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8, "intermediate_size": 37}
CONFIG: dict[str, Any] = {
    "architecture": "test_resnet",
    "num_classes": 3,
    "model_args": {"in_chans": 3},
    "pretrained_cfg": {
        "input_size": [3, 48, 48],
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "interpolation": "bilinear",
        "crop_pct": 0.9,
    },
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The folder that the server has as its repository."""
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


@pytest.fixture
def asked(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The paths that the server was asked for."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with hub_of(NAME, files) as (address, paths):
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield paths


def load(architecture: str, **settings: Any) -> Backbone:
    return load_backbone(BackboneSpec(architecture, **settings), None, device="cpu")


def refusal(architecture: str, **settings: Any) -> EngineError:
    with pytest.raises(EngineError) as caught:
        load(architecture, **settings)
    return caught.value


def save_timm(folder: Path, **changed: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=3).eval()
    save_file({key: weights.contiguous() for key, weights in network.state_dict().items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**CONFIG, **changed}))
    return network


def test_a_repository_of_transformers_gives_the_features_of_its_folder(files: Path, asked: list[str]) -> None:
    torch.manual_seed(0)
    hf.ViTModel(hf.ViTConfig(**VIT)).save_pretrained(files, max_shard_size="20KB")
    hf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(files)
    (files / "modeling_net.py").write_text("raise SystemExit('code of the Hub was run')")
    named = load(f"hf:{NAME}")
    sent = load_backbone(BackboneSpec("transformers"), files, device="cpu")
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(named.embed(images), sent.embed(images))
    assert named.transform == sent.transform
    commit = commit_of(files)
    assert f"at commit {commit}; give {commit} as pretrained" in " ".join(named.notes)
    assert not any(path.endswith(".py") for path in asked)
    again = load(f"hf:{NAME}", pretrained=commit)
    assert torch.equal(again.embed(images), sent.embed(images))
    assert "give" not in " ".join(again.notes)


def test_a_repository_of_timm_gives_its_architecture_weights_and_preprocessing(files: Path, asked: list[str]) -> None:
    network: Any = save_timm(files)
    named = load(f"timm:hf-hub:{NAME}")
    images = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        assert torch.allclose(named.embed(images), network.forward_head(network.forward_features(images), pre_logits=True), atol=1e-6)
    assert (named.transform.input_size, named.transform.mean, named.transform.std) == ((48, 48), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert load(f"timm:hf-hub:{NAME}", preprocessing=Preprocessing(mean=(0.0, 0.0, 0.0))).transform.mean == (0.0, 0.0, 0.0)
    assert any("timm:test_resnet" in note for note in named.notes)
    assert not any(path.endswith(".bin") for path in asked)


@pytest.mark.usefixtures("asked")
def test_repositories_that_are_no_safetensors_or_name_files_are_refused(files: Path) -> None:
    assert refusal(f"hf:{NAME}").code == "pretrained_unavailable"  # without config.json
    assert "could not be downloaded" in str(refusal("hf:org/other"))
    save_timm(files, model_args={"checkpoint_path": "/etc/passwd"})
    assert "'checkpoint_path' does not configure a network" in str(refusal(f"timm:hf-hub:{NAME}"))
    save_timm(files, architecture="no_such_net")
    assert "which timm does not have" in str(refusal(f"timm:hf-hub:{NAME}"))
    (files / "model.safetensors").rename(files / "pytorch_model.bin")
    assert "only safetensors are read" in str(refusal(f"timm:hf-hub:{NAME}"))
    hf.ViTConfig(**VIT).save_pretrained(files)
    assert "only safetensors are read" in str(refusal(f"hf:{NAME}"))
    (files / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../../config.json"}}))
    assert "is not a file name" in str(refusal(f"hf:{NAME}", pretrained="main"))


@pytest.mark.parametrize(
    ("architecture", "settings", "sentence"),
    [
        ("hf:net", {}, "write ORG/NAME"),
        ("hf:../net", {}, "write ORG/NAME"),
        ("hf:org/net", {"initial_seed": 0}, "has its weights on the Hub"),
        ("hf:org/net", {"arguments": {"num_classes": 3}}, "leave arguments out"),
    ],
)
def test_a_name_on_the_hub_is_complete_in_itself(architecture: str, settings: dict[str, Any], sentence: str) -> None:
    assert sentence in str(refusal(architecture, **settings))
