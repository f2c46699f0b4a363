"""Features of several layers from one pass: equal to those of each layer alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from iis_engine.backbones.factory import load_backbone
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.data.datasets import read_image_folder
from iis_engine.errors import ArchitectureError
from iis_engine.features.extraction import extract_features
from iis_engine.features.layer_sweep import extract_layers
from iis_engine.specs import BackboneSpec, ElementSpec, Preprocessing

ImageFolder = Callable[..., Path]
SMALL = Preprocessing(input_size=64)
ELEMENTS = ElementSpec(images_per_class=2, scales=(2,))


def load(layer: str, checkpoint: Path) -> TorchBackbone:
    backbone = load_backbone(BackboneSpec("timm:test_resnet", layer=layer, preprocessing=SMALL), checkpoint, device="cpu")
    assert isinstance(backbone, TorchBackbone)
    return backbone


def test_each_layer_has_the_features_of_the_layer_alone(tiny_checkpoint: Path, image_folder: ImageFolder, tmp_path: Path) -> None:
    image_folder({"cat": 9, "dog": 8}, under="train")
    dataset = read_image_folder(image_folder({"cat": 3, "dog": 3}, under="test"))
    first = load("layer2", tiny_checkpoint)
    together = [first, first.at_layer("layer4"), first.at_layer("layer3")]
    passes = list[int]()
    network: torch.nn.Module = vars(first)["_module"]
    handle = network.register_forward_hook(lambda _module, inputs, _output: passes.append(len(inputs[0])))
    found = extract_layers(together, dataset, ELEMENTS, shard_folder=tmp_path / "together")
    handle.remove()
    assert sum(passes) == 23 + 4 * 4  # every image and every crop once
    for backbone, features in zip(together, found, strict=True):
        alone = load(backbone.spec.layer or "", tiny_checkpoint)
        assert backbone.digest == alone.digest
        expected = extract_features(alone, dataset, ELEMENTS, shard_folder=tmp_path / f"{backbone.spec.layer}")
        for name in ("X_train", "X_test", "elements"):
            assert torch.equal(getattr(features, name), getattr(expected, name))
        assert (features.element_refs, features.notes) == (expected.element_refs, expected.notes)


def test_a_layer_of_the_classifier_and_an_unknown_one_need_their_own_loading(tiny_checkpoint: Path) -> None:
    first = load("layer2", tiny_checkpoint)
    with pytest.raises(ArchitectureError, match="needs the classifier's weights"):
        first.at_layer("fc")
    with pytest.raises(ArchitectureError, match="has no layer 'layer22'"):
        first.at_layer("layer22")
