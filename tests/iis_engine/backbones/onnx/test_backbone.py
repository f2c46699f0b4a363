"""ONNX backbones: the graph is cut at its representation, or the file is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import timm
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.linear_model import LogisticRegression

from benchmarks.cifar_resnet import CifarResNet, export_onnx, load_cifar_resnet
from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.factory import load_backbone
from iis_engine.data.decoding.images import load_image
from iis_engine.errors import ArchitectureError, CheckpointError, EngineError
from iis_engine.specs import BackboneSpec, Preprocessing

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
SPEC = BackboneSpec("onnx")


@pytest.fixture(scope="module")
def network() -> CifarResNet:
    torch.manual_seed(0)
    return CifarResNet(8).eval()


@pytest.fixture(scope="module")
def onnx_file(network: CifarResNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "resnet8.onnx"
    export_onnx(network, path)
    return path


@pytest.fixture
def batch() -> torch.Tensor:
    return torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def graph_of(nodes: list[Any], weights: dict[str, np.ndarray[Any, Any]], shape: list[Any], output: str, **options: Any) -> onnx.ModelProto:
    """A small graph from the input `images` to `output`."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("images", options.get("type", TensorProto.FLOAT), shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", options.get("opset", 17)), helper.make_opsetid("my.company", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def pooled_linear(shape: list[Any]) -> onnx.ModelProto:
    """Mean over space, MatMul, bias, softmax."""
    weights = {"W": np.ones((3, 2), np.float32), "b": np.zeros(2, np.float32)}
    nodes = [
        helper.make_node("Relu", ["images"], ["map"]),
        helper.make_node("ReduceMean", ["map"], ["pooled"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["pooled", "W"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    return graph_of(nodes, weights, shape, "probabilities")


def test_the_input_of_the_last_linear_layer_is_the_representation(network: CifarResNet, onnx_file: Path, batch: torch.Tensor) -> None:
    backbone = load_backbone(SPEC, onnx_file)
    with torch.no_grad():
        assert torch.allclose(backbone.embed(batch), network.represent(batch), atol=1e-5)
    assert backbone.num_features == 64
    assert backbone.input_size == (32, 32)


def test_the_map_before_the_final_pooling_averages_to_the_representation(onnx_file: Path, batch: torch.Tensor) -> None:
    backbone = load_backbone(SPEC, onnx_file)
    maps = backbone.feature_map(batch)
    assert maps is not None
    assert maps.shape == (5, 64, 8, 8)
    assert torch.allclose(maps.mean((2, 3)), backbone.embed(batch), atol=1e-5)


@pytest.mark.parametrize("fixed", [1, 3])
def test_batches_are_padded_to_a_fixed_batch_size(fixed: int, network: CifarResNet, tmp_path: Path, batch: torch.Tensor) -> None:
    export_onnx(network, tmp_path / "fixed.onnx", batch_size=fixed)
    with torch.no_grad():
        assert torch.allclose(load_backbone(SPEC, tmp_path / "fixed.onnx").embed(batch), network.represent(batch), atol=1e-5)


def test_a_matmul_followed_by_a_bias_and_a_softmax_is_a_linear_layer(tmp_path: Path) -> None:
    onnx.save(pooled_linear(["n", 3, 8, 8]), tmp_path / "a.onnx")
    images = torch.rand(2, 3, 8, 8)
    backbone = load_backbone(SPEC, tmp_path / "a.onnx")
    maps = backbone.feature_map(images)
    assert maps is not None
    assert torch.allclose(backbone.embed(images), images.mean((2, 3)), atol=1e-6)
    assert torch.allclose(maps, images)


def test_a_named_value_is_the_representation_and_maps_are_averaged(tmp_path: Path) -> None:
    onnx.save(pooled_linear(["n", 3, 8, 8]), tmp_path / "a.onnx")
    images = torch.rand(2, 3, 8, 8)
    assert torch.allclose(
        load_backbone(BackboneSpec("onnx", layer="map"), tmp_path / "a.onnx").embed(images), images.mean((2, 3)), atol=1e-6
    )
    assert load_backbone(BackboneSpec("onnx", layer="logits"), tmp_path / "a.onnx").num_features == 2


def test_a_channels_last_input_is_transposed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["pooled"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["pooled", "W"], ["logits"]),
    ]
    onnx.save(graph_of(nodes, {"W": np.ones((3, 2), np.float32)}, ["n", 8, 6, 3], "logits"), tmp_path / "a.onnx")
    backbone = load_backbone(SPEC, tmp_path / "a.onnx")
    images = torch.rand(2, 3, 8, 6)
    assert backbone.input_size == (8, 6)
    assert torch.allclose(backbone.embed(images), images.mean((2, 3)), atol=1e-6)


def test_assumed_settings_are_noted(tmp_path: Path) -> None:
    onnx.save(pooled_linear(["n", 3, "h", "w"]), tmp_path / "a.onnx")
    assumed = " ".join(load_backbone(SPEC, tmp_path / "a.onnx").describe()["notes"])
    assert "224 pixels were assumed" in assumed
    assert "ImageNet mean" in assumed
    assert "order RGB and values from 0 to 1" in assumed
    assert "layer=probabilities" in assumed
    wanted = Preprocessing(input_size=16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), crop_pct=1.0, channel_order="rgb", value_range=1)
    backbone = load_backbone(BackboneSpec("onnx", layer="pooled", preprocessing=wanted), tmp_path / "a.onnx")
    assert backbone.describe()["notes"] == []
    white = Image.new("RGB", (30, 40), "white")
    assert backbone.preprocess(white).shape == (3, 16, 16)
    assert torch.allclose(backbone.preprocess(white), torch.ones(3, 16, 16), atol=1e-6)


def test_the_hint_names_what_comes_before_the_head_and_never_scores_or_labels(tmp_path: Path) -> None:
    convolution = [
        helper.make_node("Relu", ["images"], ["map"]),
        helper.make_node("Conv", ["map", "K"], ["score_map"]),
        helper.make_node("GlobalAveragePool", ["score_map"], ["scores"]),
    ]
    onnx.save(graph_of(convolution, {"K": np.ones((2, 3, 1, 1), np.float32)}, ["n", 3, 8, 8], "scores"), tmp_path / "scores.onnx")
    assert str(refusal(tmp_path / "scores.onnx")).endswith("as the layer, for example 'map'.")
    model = pooled_linear(["n", 3, 8, 8])
    model.graph.node.append(helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1))
    model.graph.output[0].name = "label"
    onnx.save(model, tmp_path / "label.onnx")
    assert str(refusal(tmp_path / "label.onnx")).endswith("as the layer, for example 'pooled'.")


def test_a_quantised_output_is_walked_through(tmp_path: Path) -> None:
    model = pooled_linear(["n", 3, 8, 8])
    model.graph.initializer.extend(
        [numpy_helper.from_array(np.array(0.1, np.float32), "scale"), numpy_helper.from_array(np.array(0, np.uint8), "zero")]
    )
    model.graph.node.extend(
        [
            helper.make_node("QuantizeLinear", ["probabilities", "scale", "zero"], ["whole"]),
            helper.make_node("DequantizeLinear", ["whole", "scale", "zero"], ["out"]),
        ]
    )
    model.graph.output[0].name = "out"
    onnx.save(model, tmp_path / "a.onnx")
    assert load_backbone(SPEC, tmp_path / "a.onnx").describe()["output"] == "pooled"


def in_constant_nodes(model: onnx.ModelProto, value: float) -> onnx.ModelProto:
    stored = {weights.name: numpy_helper.to_array(weights) * np.float32(value) for weights in model.graph.initializer}
    del model.graph.initializer[:]
    for name, array in stored.items():
        model.graph.node.insert(0, helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array)))
    return model


def test_weights_in_constant_nodes_are_counted_and_checked(tmp_path: Path) -> None:
    onnx.save(in_constant_nodes(pooled_linear(["n", 3, 8, 8]), 1.0), tmp_path / "a.onnx")
    assert load_backbone(SPEC, tmp_path / "a.onnx").describe()["parameter_count"] == 3 * 2 + 2
    onnx.save(in_constant_nodes(pooled_linear(["n", 3, 8, 8]), float("nan")), tmp_path / "nan.onnx")
    error = refusal(tmp_path / "nan.onnx")
    assert error.code == "checkpoint_not_finite"
    assert "NaN values in the constant b" in str(error)


def test_channel_order_and_value_range_are_applied(tmp_path: Path) -> None:
    onnx.save(pooled_linear(["n", 3, 8, 8]), tmp_path / "a.onnx")
    spec = BackboneSpec("onnx", preprocessing=Preprocessing(channel_order="bgr", value_range=255))
    backbone = load_backbone(spec, tmp_path / "a.onnx")
    features = backbone.embed(backbone.preprocess(Image.new("RGB", (8, 8), (200, 100, 50)))[None])
    assert features.tolist() == [[50, 100, 200]]


def test_the_digest_depends_on_the_file_and_the_layer(network: CifarResNet, onnx_file: Path, tmp_path: Path) -> None:
    torch.manual_seed(9)
    export_onnx(CifarResNet(8).eval(), tmp_path / "other.onnx")
    named = BackboneSpec("onnx", layer="logits")
    digests = {load_backbone(spec, path).digest for spec, path in ((SPEC, onnx_file), (SPEC, tmp_path / "other.onnx"), (named, onnx_file))}
    assert len(digests) == 3


def refusal(path: Path, spec: BackboneSpec = SPEC) -> EngineError:
    with pytest.raises(EngineError) as caught:
        load_backbone(spec, path)
    assert str(caught.value).endswith(".")
    return caught.value


@pytest.mark.parametrize("content", [b"", b"not a protobuf", b"\x89PNG\r\n\x1a\n" + bytes(50), b"PK\x03\x04" + bytes(50)])
def test_a_file_that_is_not_onnx_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    assert isinstance(refusal(tmp_path / "a.onnx"), CheckpointError)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file_is_refused(share: float, onnx_file: Path, tmp_path: Path) -> None:
    content = onnx_file.read_bytes()
    (tmp_path / "a.onnx").write_bytes(content[: int(len(content) * share)])
    assert "export the network again" in str(refusal(tmp_path / "a.onnx"))


def test_external_weights_are_refused(onnx_file: Path, tmp_path: Path) -> None:
    onnx.save(onnx.load(onnx_file), tmp_path / "a.onnx", save_as_external_data=True, location="a.bin", size_threshold=0)
    error = refusal(tmp_path / "a.onnx")
    assert error.code == "onnx_external_data"
    assert "single file" in str(error)


def test_custom_operators_are_refused_by_name(tmp_path: Path) -> None:
    nodes = [helper.make_node("Frobnicate", ["images"], ["out"], domain="my.company")]
    onnx.save(graph_of(nodes, {}, ["n", 3, 8, 8], "out"), tmp_path / "a.onnx")
    error = refusal(tmp_path / "a.onnx")
    assert error.code == "onnx_custom_operator"
    assert "my.company::Frobnicate" in str(error)


def test_weights_that_are_not_finite_are_refused_by_name(onnx_file: Path, tmp_path: Path) -> None:
    model = onnx.load(onnx_file)
    weights = next(weights for weights in model.graph.initializer if weights.name == "linear.weight")
    array = numpy_helper.to_array(weights).copy()
    array[0, 0] = np.nan
    weights.CopyFrom(numpy_helper.from_array(array, "linear.weight"))
    onnx.save(model, tmp_path / "a.onnx")
    error = refusal(tmp_path / "a.onnx")
    assert error.code == "checkpoint_not_finite"
    assert "linear.weight" in str(error)


@pytest.mark.parametrize("dims", [(5, 2), (0, 2), (3, -2), (1 << 40, 1 << 20)])
def test_weights_that_do_not_match_their_shape_are_refused_by_name(dims: tuple[int, int], tmp_path: Path) -> None:
    model = pooled_linear(["n", 3, 8, 8])
    weights = next(weights for weights in model.graph.initializer if len(weights.dims) == 2)
    weights.dims[:] = dims
    onnx.save(model, tmp_path / "a.onnx")
    error = refusal(tmp_path / "a.onnx")
    assert isinstance(error, CheckpointError)
    assert repr(weights.name) in str(error)
    assert "export the network again" in str(error)


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["images"], ["features"]), helper.make_node("Sin", ["features"], ["out"])]
    content = graph_of(nodes, {}, ["n", 3, 8, 8], "out").SerializeToString()
    (tmp_path / "a.onnx").write_bytes(content.replace(b"Sin", b"S\xfen"))
    with pytest.raises(EngineError):
        load_backbone(BackboneSpec("onnx", layer="features"), tmp_path / "a.onnx")


def test_a_decoding_error_of_onnxruntime_is_a_checkpoint_error(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        b"\xfe".decode()

    monkeypatch.setattr("onnxruntime.InferenceSession", fail)
    assert isinstance(refusal(onnx_file), CheckpointError)


def test_a_cyclic_graph_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    onnx.save(graph_of(nodes, {}, ["n", 3, 8, 8], "b"), tmp_path / "a.onnx")
    assert "before computing it" in str(refusal(tmp_path / "a.onnx"))


def test_an_unknown_operator_set_version_is_refused(tmp_path: Path) -> None:
    model = pooled_linear(["n", 3, 8, 8])
    model.opset_import[0].version = 999
    onnx.save(model, tmp_path / "a.onnx")
    refusal(tmp_path / "a.onnx")


def test_a_network_without_a_final_linear_layer_requires_a_layer(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["images"], ["features"])]
    onnx.save(graph_of(nodes, {}, ["n", 3, 8, 8], "features"), tmp_path / "a.onnx")
    error = refusal(tmp_path / "a.onnx")
    assert "ends in Relu" in str(error)
    assert load_backbone(BackboneSpec("onnx", layer="features"), tmp_path / "a.onnx").num_features == 3


def test_an_unknown_layer_is_refused_with_similar_ones(onnx_file: Path) -> None:
    error = refusal(onnx_file, BackboneSpec("onnx", layer="flatten"))
    assert error.code == "layer_unknown"
    assert "/Flatten_output_0" in str(error)


@pytest.mark.parametrize(
    ("shape", "kind"), [(["n", 7, 8, 8], TensorProto.FLOAT), (["n", 3], TensorProto.FLOAT), (["n", 3, 8, 8], TensorProto.UINT8)]
)
def test_an_input_that_is_not_a_batch_of_float_images_is_refused(shape: list[Any], kind: int, tmp_path: Path) -> None:
    nodes = [helper.make_node("Cast", ["images"], ["out"], to=TensorProto.FLOAT)]
    onnx.save(graph_of(nodes, {}, shape, "out", type=kind), tmp_path / "a.onnx")
    refusal(tmp_path / "a.onnx")


def test_arguments_and_another_input_size_are_refused(onnx_file: Path) -> None:
    assert refusal(onnx_file, BackboneSpec("onnx", {"in_chans": 3})).param == "arguments"
    assert refusal(onnx_file, BackboneSpec("onnx", preprocessing=Preprocessing(input_size=64))).param == "preprocessing"


def test_a_torch_checkpoint_is_not_an_onnx_file(tiny_checkpoint: Path) -> None:
    with pytest.raises((CheckpointError, ArchitectureError)):
        load_backbone(SPEC, tiny_checkpoint)


def probe_accuracy(embed: Callable[[torch.Tensor], torch.Tensor], backbone: Backbone, root: Path) -> float:
    """Accuracy of a linear probe on 40 train and 20 test images per class."""
    features, labels = {}, {}
    for split, count in (("train", 40), ("test", 20)):
        paths = [
            (path, label) for label, folder in enumerate(sorted((root / split).iterdir())) for path in sorted(folder.iterdir())[:count]
        ]
        batch = torch.stack([backbone.preprocess(load_image(path)) for path, _ in paths])
        features[split], labels[split] = embed(batch).numpy(), [label for _, label in paths]
    probe = LogisticRegression(max_iter=1000, C=0.1).fit(features["train"], labels["train"])
    return float(probe.score(features["test"], labels["test"]))


def test_a_linear_probe_classifies_the_representation_of_a_real_cifar_resnet(shared_data: Path, tmp_path: Path) -> None:
    network = load_cifar_resnet(shared_data / "weights" / "cifar10_resnet20.safetensors", 20)
    export_onnx(network, tmp_path / "resnet20.onnx")
    backbone = load_backbone(SPEC, tmp_path / "resnet20.onnx")
    assert probe_accuracy(backbone.embed, backbone, shared_data / "cifar10") > 0.75


def test_the_head_of_a_transformer_is_found_in_its_exported_graph(tmp_path: Path) -> None:
    module: Any = timm.create_model("test_vit", exportable=True).eval()
    images = torch.randn(2, 3, 160, 160)
    torch.onnx.export(module, (images,), tmp_path / "vit.onnx", opset_version=17, dynamo=False)
    with torch.no_grad():
        expected = module.forward_head(module.forward_features(images), pre_logits=True)
    assert torch.allclose(load_backbone(SPEC, tmp_path / "vit.onnx").embed(images), expected, atol=1e-4)
