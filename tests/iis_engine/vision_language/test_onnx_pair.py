"""Pairs of ONNX towers: embeddings equal those of the exported model, and towers or tokenizers that do not fit are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from iis_engine.backbones.factory import load_backbone
from iis_engine.errors import EngineError
from iis_engine.specs import BackboneSpec, VisionLanguageSpec
from iis_engine.vision_language.model import load_vision_language_model
from iis_engine.vision_language.tokenizers import load_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
PAIR = VisionLanguageSpec("onnx")


def refusal(spec: VisionLanguageSpec, checkpoint: Path | None, text_checkpoint: Path | None = None) -> EngineError:
    with pytest.raises(EngineError) as caught:
        load_vision_language_model(spec, checkpoint, text_checkpoint)
    assert str(caught.value).endswith(".")
    return caught.value


class ImageTower(nn.Module):
    def __init__(self, clip: Any) -> None:
        super().__init__()
        self.visual = clip.visual

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.visual(images)


class TextTower(nn.Module):
    """Tokens with a mask of zero count as padding."""

    def __init__(self, clip: Any) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        ids = input_ids.long()
        return self.clip.encode_text(ids if attention_mask is None else ids * attention_mask.long())


def export(module: nn.Module, inputs: tuple[torch.Tensor, ...], path: Path, names: list[str], output: str, *, fixed: bool = False) -> Path:
    axes = None if fixed else {name: {0: "n"} for name in (*names, output)}
    torch.onnx.export(module, inputs, path, input_names=names, output_names=[output], dynamic_axes=axes, opset_version=17, dynamo=False)
    return path


@pytest.fixture(scope="module")
def image_file(clip: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pair") / "image.onnx"
    return export(ImageTower(clip).eval(), (torch.zeros(2, 3, 32, 32),), path, ["pixel_values"], "image_embeds")


@pytest.fixture(scope="module")
def text_file(clip: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pair") / "text.onnx"
    return export(TextTower(clip).eval(), (torch.zeros(2, 16, dtype=torch.int64),), path, ["input_ids"], "text_embeds")


def words_graph(vocabulary: int = 49408, **changes: Any) -> onnx.ModelProto:
    """A text tower that averages the rows of a table selected by the ids, (n, 24)."""
    table = np.random.default_rng(0).normal(size=(vocabulary, 24)).astype(np.float32)
    names = changes.get("inputs", ["tokens"])
    kind = changes.get("type", TensorProto.INT64)
    nodes = [
        helper.make_node("Gather", ["table", names[0]], ["rows"]),
        helper.make_node("ReduceMean", ["rows"], ["out"], axes=[1], keepdims=0),
        *changes.get("nodes", []),
    ]
    graph = helper.make_graph(
        nodes,
        "words",
        [helper.make_tensor_value_info(name, kind, changes.get("shape", ["n", "t"])) for name in names],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in changes.get("outputs", {"out": ["n", 24]}).items()
        ],
        [numpy_helper.from_array(changes.get("table", table), "table")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("my.company", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.fixture
def words_file(tmp_path: Path) -> Callable[..., Path]:
    def write(**changes: Any) -> Path:
        onnx.save(words_graph(**changes), tmp_path / "words.onnx")
        return tmp_path / "words.onnx"

    return write


def test_embeddings_of_a_pair_equal_those_of_the_exported_model(
    clip: Any, image_file: Path, text_file: Path, expected_text: torch.Tensor, phrases: list[str]
) -> None:
    model = load_vision_language_model(PAIR, image_file, text_file)
    assert torch.allclose(model.embed_text(phrases), expected_text, atol=1e-5)
    batch = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(model.images.embed(batch), clip.encode_image(batch), atol=1e-4)
    described = model.describe()
    assert (described["tokenizer"], described["context_length"], described["embedding_dimension"]) == ("CLIP", 16, 24)
    assert described["parameter_count"] == pytest.approx(sum(weights.numel() for weights in clip.parameters()), rel=0.01)


def test_the_image_tower_equals_the_backbone_with_the_same_output_as_its_layer(image_file: Path, text_file: Path) -> None:
    model = load_vision_language_model(PAIR, image_file, text_file)
    assert model.images.digest == load_backbone(BackboneSpec("onnx", layer="image_embeds"), image_file).digest


def test_the_digest_depends_on_both_files_and_the_tokenizer(image_file: Path, text_file: Path, words_file: Callable[..., Path]) -> None:
    named = VisionLanguageSpec("onnx", tokenizer="RN50")
    pairs = [(PAIR, text_file), (PAIR, words_file()), (named, text_file)]
    assert len({load_vision_language_model(spec, image_file, text).digest for spec, text in pairs}) == 3


@pytest.mark.parametrize("rows", [1, 3])
def test_batches_of_int32_tokens_are_padded_to_a_fixed_batch_size(
    rows: int, clip: Any, image_file: Path, tmp_path: Path, expected_text: torch.Tensor, phrases: list[str]
) -> None:
    tokens = torch.zeros(rows, 16, dtype=torch.int32)
    path = export(TextTower(clip).eval(), (tokens,), tmp_path / "text.onnx", ["tokens"], "features", fixed=True)
    assert torch.allclose(load_vision_language_model(PAIR, image_file, path).embed_text(phrases), expected_text, atol=1e-5)


def test_the_attention_mask_is_one_at_tokens_and_zero_at_padding(
    clip: Any, image_file: Path, tmp_path: Path, expected_text: torch.Tensor, phrases: list[str]
) -> None:
    tokens = torch.zeros(2, 16, dtype=torch.int64)
    path = export(TextTower(clip).eval(), (tokens, tokens + 1), tmp_path / "text.onnx", ["input_ids", "attention_mask"], "text_embeds")
    assert torch.allclose(load_vision_language_model(PAIR, image_file, path).embed_text(phrases), expected_text, atol=1e-5)


def test_an_exclamation_mark_is_not_padding() -> None:
    """Its id is 0, which CLIP also uses for padding."""
    ids, attention_mask = load_tokenizer(None, 7)(["!~", "bird"])
    assert ids[0].tolist() == [49406, 0, 349, 49407, 0, 0, 0]
    assert attention_mask.tolist() == [[True] * 4 + [False] * 3, [True] * 3 + [False] * 4]


def test_a_variable_context_length_is_that_of_the_tokenizer(image_file: Path, words_file: Callable[..., Path]) -> None:
    assert load_vision_language_model(PAIR, image_file, words_file()).describe()["context_length"] == 77
    named = VisionLanguageSpec("onnx", tokenizer="PE-Core-B-16")
    described = load_vision_language_model(named, image_file, words_file()).describe()
    assert (described["context_length"], described["tokenizer"]) == (32, "PE-Core-B-16")


def test_the_embedding_is_found_by_name_among_several_outputs(
    image_file: Path, words_file: Callable[..., Path], phrases: list[str]
) -> None:
    nodes = [helper.make_node("Identity", ["out"], ["text_embeds"]), helper.make_node("Neg", ["out"], ["pooled"])]
    shapes = {"rows": ["n", "t", 24], "pooled": ["n", 24], "text_embeds": ["n", 24]}
    chosen = load_vision_language_model(PAIR, image_file, words_file(nodes=nodes, outputs=shapes)).embed_text(phrases)
    assert torch.allclose(chosen, load_vision_language_model(PAIR, image_file, words_file()).embed_text(phrases))


def test_several_outputs_without_an_embedding_name_are_refused(image_file: Path, words_file: Callable[..., Path]) -> None:
    error = refusal(
        PAIR, image_file, words_file(nodes=[helper.make_node("Neg", ["out"], ["b"])], outputs={"out": ["n", 24], "b": ["n", 24]})
    )
    assert "out (2 dimensions), b (2 dimensions)" in str(error)
    assert "name it text_embeds" in str(error)
    assert "must have one output" in str(refusal(PAIR, image_file, words_file(outputs={"rows": ["n", "t", 24]})))


def test_an_image_tower_with_several_unnamed_outputs_is_refused(image_file: Path, text_file: Path, tmp_path: Path) -> None:
    model = onnx.load(image_file)
    model.graph.node.append(helper.make_node("Neg", ["image_embeds"], ["text_features"]))
    model.graph.output.append(helper.make_tensor_value_info("text_features", TensorProto.FLOAT, ["n", 24]))
    onnx.save(model, tmp_path / "two.onnx")
    assert load_vision_language_model(PAIR, tmp_path / "two.onnx", text_file).dimension == 24  # image_embeds names its tower
    for output, name in zip(model.graph.output, ("a", "b"), strict=True):
        model.graph.node.append(helper.make_node("Identity", [output.name], [name]))
        output.name = name
    onnx.save(model, tmp_path / "two.onnx")
    assert "name it image_embeds" in str(refusal(PAIR, tmp_path / "two.onnx", text_file))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ["tokens", "positions"]}, "its inputs are: tokens, positions"),
        ({"inputs": ["mask"]}, "its inputs are: mask"),
        ({"type": TensorProto.FLOAT}, "it is float of 2 dimensions"),
        ({"shape": ["n"]}, "it is int64 of 1 dimensions"),
        ({"nodes": [helper.make_node("Frobnicate", ["out"], ["o"], domain="my.company")]}, "my.company::Frobnicate"),
        ({"table": np.full((49408, 24), np.nan, np.float32)}, "table"),
        ({"table": np.zeros((49408, 24), np.float32)}, "zero vector"),
        ({"table": np.full((49408, 24), 1e38, np.float32)}, "not finite"),
    ],
)
def test_a_graph_that_is_not_a_text_tower_is_refused(
    changes: dict[str, Any], message: str, image_file: Path, words_file: Callable[..., Path]
) -> None:
    assert message in str(refusal(PAIR, image_file, words_file(**changes)))


def test_towers_of_different_dimensions_are_refused(image_file: Path, words_file: Callable[..., Path]) -> None:
    error = refusal(PAIR, image_file, words_file(table=np.ones((49408, 7), np.float32), outputs={"out": ["n", 7]}))
    assert error.code == "towers_disagree"
    assert "24 for images, 7 for phrases" in str(error)


def test_a_table_shorter_than_the_tokenizers_ids_is_refused(image_file: Path, words_file: Callable[..., Path]) -> None:
    error = refusal(PAIR, image_file, words_file(vocabulary=1000))
    assert error.code == "tokenizer_misfit"
    assert "ids up to 49,407" in str(error)


def test_an_unsupported_context_length_is_refused(image_file: Path, words_file: Callable[..., Path]) -> None:
    """The input has a variable length, but the graph adds a constant of length 16."""
    positions = helper.make_node("Constant", [], ["positions"], value=numpy_helper.from_array(np.ones((16, 1), np.float32)))
    nodes = [
        positions,
        helper.make_node("Add", ["rows", "positions"], ["sum"]),
        helper.make_node("ReduceMean", ["sum"], ["o"], axes=[1], keepdims=0),
    ]
    error = refusal(PAIR, image_file, words_file(nodes=nodes, outputs={"o": ["n", 24]}))
    assert error.code == "tokenizer_misfit"
    assert "(2, 77)" in str(error)


def test_a_pair_requires_two_files_and_accepts_nothing_else(image_file: Path, text_file: Path, checkpoint: Path) -> None:
    assert refusal(PAIR, image_file).param == "text_checkpoint"
    assert refusal(PAIR, None, text_file).param == "checkpoint"
    assert refusal(VisionLanguageSpec("onnx", pretrained="openai"), image_file, text_file).param == "pretrained"
    assert refusal(VisionLanguageSpec("onnx", {"embed_dim": 24}), image_file, text_file).param == "arguments"
    assert refusal(VisionLanguageSpec("onnx", tokenizer="ViT-B32"), image_file, text_file).code == "tokenizer_unavailable"
    for files in ((image_file, image_file), (text_file, text_file), (checkpoint, text_file), (image_file, checkpoint)):
        refusal(PAIR, *files)


def test_a_text_tower_with_external_weights_is_refused(image_file: Path, text_file: Path, tmp_path: Path) -> None:
    onnx.save(onnx.load(text_file), tmp_path / "a.onnx", save_as_external_data=True, location="a.bin", size_threshold=0)
    assert refusal(PAIR, image_file, tmp_path / "a.onnx").code == "onnx_external_data"
