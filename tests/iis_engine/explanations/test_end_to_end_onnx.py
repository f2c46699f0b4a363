"""The graph of network and predictor gives label, probabilities and contributing concepts of the engine for images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from iis_engine.backbones.factory import load_backbone
from iis_engine.errors import ArchitectureError
from iis_engine.explanations.end_to_end_onnx import export_end_to_end_onnx
from iis_engine.explanations.explain import explain
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.scoring.predictor import Predictor
from iis_engine.specs import BackboneSpec, Preprocessing

CONCEPTS, CLASSES, KEPT = 12, 3, 4
SPEC = BackboneSpec("timm:test_resnet", {"num_classes": 7}, preprocessing=Preprocessing(input_size=32, mean=(0.2, 0.3, 0.4)))


def predictor_of(width: int) -> Predictor:
    draw = torch.Generator().manual_seed(0)
    vectors = normalize(torch.randn(CONCEPTS, width, generator=draw), dim=1)
    library = ConceptLibrary("prototype", vectors, ("prototype",) * CONCEPTS, ())
    return Predictor(library, KEPT, torch.randn(CONCEPTS + 1, CLASSES, generator=draw), ("a", "b", "c"), (None,) * CONCEPTS)


def test_the_outputs_equal_those_of_network_and_predictor(tiny_checkpoint: Path, tmp_path: Path) -> None:
    backbone = load_backbone(SPEC, tiny_checkpoint, device="cpu")
    predictor = predictor_of(backbone.num_features)
    export_end_to_end_onnx(backbone, predictor, tmp_path / "whole.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["whole.onnx"]
    session = onnxruntime.InferenceSession(tmp_path / "whole.onnx", providers=["CPUExecutionProvider"])
    assert [(one.name, one.shape, one.type) for one in session.get_inputs()] == [("pixels", ["n", 32, 32, 3], "tensor(uint8)")]

    draw = np.random.default_rng(0)
    images = [Image.fromarray(draw.integers(0, 256, (40 + place, 50, 3), dtype=np.uint8)) for place in range(5)]
    pixels = np.stack([backbone.transform.pixels(image) for image in images])
    names = ("label", "probabilities", "activations", "concepts", "contributions")
    found: Any = dict(zip(names, session.run(list(names), {"pixels": pixels}), strict=True))

    X = backbone.embed(torch.stack([backbone.preprocess(image) for image in images]))
    assert np.array_equal(found["label"], predictor.predict(X).numpy())
    assert np.abs(found["probabilities"] - predictor.predict_proba(X).numpy()).max() < 1e-4
    assert np.abs(found["activations"] - predictor.activations(X).numpy()).max() < 1e-4
    for row, activations in enumerate(predictor.activations(X)):
        shares = explain(predictor, activations).contributions
        order = torch.argsort(shares.abs(), descending=True, stable=True)[:KEPT]
        assert found["concepts"][row].tolist() == order.tolist()
        assert found["contributions"][row] == pytest.approx(shares[order].numpy(), abs=1e-3)
    one: Any = session.run(["label"], {"pixels": pixels[:1]})
    assert one[0].tolist() == found["label"][:1].tolist()

    metadata = session.get_modelmeta().custom_metadata_map
    assert (metadata["format"], metadata["kept"], json.loads(metadata["class_names"])) == ("iis-end-to-end-onnx/1", "4", ["a", "b", "c"])
    assert json.loads(metadata["preprocessing"]) == json.loads(json.dumps(backbone.transform.describe()))


def test_a_network_that_is_onnx_already_is_refused_with_advice(tiny_checkpoint: Path, tmp_path: Path) -> None:
    backbone = load_backbone(SPEC, tiny_checkpoint, device="cpu")
    pixels = torch.zeros((1, 3, 32, 32))
    torch.onnx.export(backbone.copy_network().module, (pixels,), str(tmp_path / "network.onnx"), dynamo=False, opset_version=17)  # pyright: ignore[reportAttributeAccessIssue]
    network = load_backbone(BackboneSpec("onnx"), tmp_path / "network.onnx", device="cpu")
    with pytest.raises(ArchitectureError, match="join your ONNX file"):
        export_end_to_end_onnx(network, predictor_of(network.num_features), tmp_path / "whole.onnx")
