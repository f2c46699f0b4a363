"""Networks of transformers: tiny random ones of each family give the library's own features; other content is refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from iis_engine import BackboneSpec, load_backbone
from iis_engine.backbones.backbone import Backbone
from iis_engine.errors import EngineError

hf: Any = transformers
SPEC = BackboneSpec("transformers")
VIT: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
VIT_MLP: dict[str, Any] = {**VIT, "intermediate_size": 37}
TEXT: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 37, "vocab_size": 99}
CONVNEXT: dict[str, Any] = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}
SWIN: dict[str, Any] = {"image_size": 64, "patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}


@dataclass(frozen=True)
class Case:
    build: Callable[[], nn.Module]
    expected: Callable[[Any, Tensor], Tensor]


def class_token(prefix: str) -> Callable[[Any, Tensor], Tensor]:
    return lambda model, images: getattr(model, prefix)(images).last_hidden_state[:, 0]


def pooled_output(prefix: str | None = None) -> Callable[[Any, Tensor], Tensor]:
    return lambda model, images: (model if prefix is None else getattr(model, prefix))(images).pooler_output.flatten(1)


def patched(model: Any, images: Tensor) -> Tensor:
    """SigLIP 2 as its own processor feeds it."""
    from transformers.models.siglip2.image_processing_siglip2 import convert_image_to_patches

    patches = torch.stack([convert_image_to_patches(image, 8) for image in images])
    mask = torch.ones(patches.shape[:2], dtype=torch.int64)
    return model(patches, mask, torch.tensor([[4, 4]] * len(images))).pooler_output


CASES = {
    "vit": Case(lambda: hf.ViTForImageClassification(hf.ViTConfig(**VIT_MLP)), class_token("vit")),
    "deit": Case(lambda: hf.DeiTForImageClassificationWithTeacher(hf.DeiTConfig(**VIT_MLP)), class_token("deit")),
    "dinov2": Case(lambda: hf.Dinov2Model(hf.Dinov2Config(**VIT)), pooled_output()),
    "dinov2 with registers": Case(lambda: hf.Dinov2WithRegistersModel(hf.Dinov2WithRegistersConfig(**VIT)), pooled_output()),
    "dinov3": Case(lambda: hf.DINOv3ViTModel(hf.DINOv3ViTConfig(**VIT_MLP, num_register_tokens=4)), pooled_output()),
    "dinov3 convnext": Case(lambda: hf.DINOv3ConvNextModel(hf.DINOv3ConvNextConfig(**CONVNEXT)), pooled_output()),
    "siglip": Case(lambda: hf.SiglipModel(hf.SiglipConfig(vision_config=VIT_MLP, text_config=TEXT)), pooled_output("vision_model")),
    "siglip2": Case(
        lambda: hf.Siglip2VisionModel(
            hf.Siglip2VisionConfig(
                hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=37, num_patches=16, patch_size=8
            )
        ),
        patched,
    ),
    "clip": Case(
        lambda: hf.CLIPModel(hf.CLIPConfig(vision_config=VIT_MLP, text_config=TEXT, projection_dim=16)),
        lambda model, images: model.visual_projection(model.vision_model(images).pooler_output),
    ),
    "clip vision": Case(lambda: hf.CLIPVisionModel(hf.CLIPVisionConfig(**VIT_MLP)), pooled_output()),
    "convnext": Case(lambda: hf.ConvNextForImageClassification(hf.ConvNextConfig(**CONVNEXT)), pooled_output("convnext")),
    "convnextv2": Case(lambda: hf.ConvNextV2Model(hf.ConvNextV2Config(**CONVNEXT)), pooled_output()),
    "swin": Case(lambda: hf.SwinForImageClassification(hf.SwinConfig(**SWIN)), pooled_output("swin")),
    "swinv2": Case(lambda: hf.Swinv2Model(hf.Swinv2Config(**SWIN)), pooled_output()),
    "resnet": Case(
        lambda: hf.ResNetForImageClassification(hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])),
        pooled_output("resnet"),
    ),
}


def saved(name: str, folder: Path, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    model = CASES[name].build().eval()
    for weights in model.parameters():
        nn.init.normal_(weights, std=0.05)
    model.save_pretrained(folder, **options)  # type: ignore[operator]
    return model


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"model/{file.name}")
    return path


def load(path: Path, spec: BackboneSpec = SPEC) -> Backbone:
    return load_backbone(spec, path, device="cpu")


def refusal(path: Path, spec: BackboneSpec = SPEC) -> EngineError:
    with pytest.raises(EngineError) as caught:
        load(path, spec)
    return caught.value


@pytest.mark.parametrize("name", CASES)
def test_features_equal_those_of_the_library(name: str, tmp_path: Path) -> None:
    model = saved(name, tmp_path / "model", max_shard_size="20KB")
    backbone = load(zipped(tmp_path / "model"))
    images = torch.randn(2, 3, *backbone.input_size)
    with torch.no_grad():
        assert torch.allclose(backbone.embed(images), CASES[name].expected(model, images), atol=1e-6)
    assert "representation" in backbone.notes[0]


@pytest.mark.parametrize(
    ("processor", "size"),
    [
        (hf.ViTImageProcessor(size={"height": 32, "width": 32}), (40, 60)),
        (hf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}), (40, 60)),
        (hf.DeiTImageProcessor(size={"height": 36, "width": 36}, crop_size={"height": 32, "width": 32}), (80, 80)),
        (hf.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.8), (50, 90)),
    ],
)
def test_the_image_processor_is_the_preprocessing(processor: Any, size: tuple[int, int], tmp_path: Path) -> None:
    saved("vit", tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    backbone = load(tmp_path / "model")
    image = Image.effect_noise(size, 80).convert("RGB")
    expected = torch.as_tensor(processor(image, return_tensors="pt")["pixel_values"][0])
    assert backbone.preprocess(image).shape == expected.shape
    assert float((backbone.preprocess(image) - expected).abs().mean()) < 0.02  # the library rounds resized pixels elsewhere
    assert not any("assumed" in note for note in backbone.notes)


def test_registers_are_left_out_and_poolings_differ(tmp_path: Path) -> None:
    model = saved("dinov3", tmp_path / "model")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        tokens = model(images).last_hidden_state  # class, 4 registers, 16 patches
    expected = {
        "class": tokens[:, 0],
        "patches": tokens[:, 5:].mean(1),
        "all": torch.cat([tokens[:, :1], tokens[:, 5:]], 1).mean(1),
    }
    for pooling, value in expected.items():
        backbone = load(tmp_path / "model", BackboneSpec("transformers", layer="norm", pooling=pooling))  # type: ignore[arg-type]
        assert torch.allclose(backbone.embed(images), value, atol=1e-6), pooling
    default = load(tmp_path / "model", BackboneSpec("transformers", layer="norm"))
    assert torch.allclose(default.embed(images), expected["all"], atol=1e-6)
    assert "no attention pool" in str(refusal(tmp_path / "model", BackboneSpec("transformers", layer="norm", pooling="map")))


def test_code_in_the_archive_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model = saved("vit", folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"auto_map": {"AutoModel": "modeling.Attack"}, "_attn_implementation": "someone/kernel", "custom": "x"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(load(folder).embed(images), CASES["vit"].expected(model, images), atol=1e-6)
    assert not (tmp_path / "ran").exists()


def changed(folder: Path, **settings: Any) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))
    return folder


def test_other_content_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    saved("vit", folder)
    original = (folder / "config.json").read_text()
    assert "model_type 'bert'" in str(refusal(changed(folder, model_type="bert")))
    (folder / "config.json").write_text(original)
    assert "describes a network of" in str(refusal(changed(folder, intermediate_size=10**9)))
    (folder / "config.json").write_text(original)
    assert "out of range" in str(refusal(changed(folder, num_hidden_layers=10**9)))
    (folder / "config.json").write_text(original)
    assert "unexpected keys" in str(refusal(changed(folder, num_hidden_layers=1)))
    (folder / "config.json").write_text(original)
    assert refusal(changed(folder, quantization_config={"bits": 4})).code == "checkpoint_quantised"
    (folder / "config.json").write_text("{")
    assert "not valid JSON" in str(refusal(folder))
    (folder / "config.json").unlink()
    assert "no config.json" in str(refusal(folder))


def test_pickled_weights_and_stray_shards_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    saved("vit", folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "is a pickle" in str(refusal(folder))
    save_file({"a": torch.ones(1)}, tmp_path / "outside.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../outside.safetensors"}}))
    assert "has no ../outside.safetensors" in str(refusal(folder))


def test_the_family_takes_neither_arguments_nor_tags(tmp_path: Path) -> None:
    assert refusal(tmp_path, BackboneSpec("transformers", {"num_labels": 3})).param == "arguments"
    assert refusal(tmp_path, BackboneSpec("transformers", pretrained="default")).param == "checkpoint"
    assert refusal(tmp_path, BackboneSpec("transformers:vit")).code == "architecture_unknown"
