"""Images and phrases in one space: open_clip's own embeddings are the oracle, and each misfit of towers and tokens is a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import open_clip
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from iis_engine.backbones.architectures import build_network
from iis_engine.backbones.factory import load_backbone
from iis_engine.errors import ArchitectureError, CheckpointError, EngineError, OutOfMemory
from iis_engine.specs import BackboneSpec, Preprocessing, VisionLanguageSpec
from iis_engine.vision_language.model import load_vision_language_model
from iis_engine.vision_language.text_towers import TorchTextTower
from iis_engine.vision_language.tokenizers import load_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
ARGUMENTS: dict[str, Any] = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT}
NAME = "ViT-B-32"
SPEC = VisionLanguageSpec(f"open_clip:{NAME}", ARGUMENTS)
PHRASES = ["a red bird", "stripes", "a loop at the top!", "ünïcödé", "word " * 300]


def make_clip(name: str = NAME, **changes: Any) -> Any:
    torch.manual_seed(0)
    return open_clip.create_model(name, pretrained_text=False, **{**ARGUMENTS, **changes}).eval()


def save(module: nn.Module, path: Path) -> Path:
    save_file({key: tensor.contiguous() for key, tensor in module.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def clip() -> Any:
    return make_clip()


@pytest.fixture(scope="module")
def checkpoint(clip: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(clip, tmp_path_factory.mktemp("clip") / "clip.safetensors")


@pytest.fixture(scope="module")
def own_text(clip: Any) -> torch.Tensor:
    """What open_clip itself makes of the phrases."""
    with torch.no_grad():
        return clip.encode_text(open_clip.tokenize(PHRASES, 16), normalize=True)


def refusal(spec: VisionLanguageSpec, checkpoint: Path | None, text_checkpoint: Path | None = None) -> EngineError:
    with pytest.raises(EngineError) as caught:
        load_vision_language_model(spec, checkpoint, text_checkpoint)
    assert str(caught.value).endswith(".")
    return caught.value


def test_phrases_become_open_clips_own_embeddings_as_unit_rows(checkpoint: Path, own_text: torch.Tensor) -> None:
    model = load_vision_language_model(SPEC, checkpoint)
    embeddings = model.embed_text(PHRASES)
    assert embeddings.dtype == torch.float32
    assert torch.allclose(embeddings, own_text, atol=1e-6)
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(5), atol=1e-6)
    assert model.embed_text([]).shape == (0, 24)


def test_images_become_open_clips_own_embeddings_not_normalised(clip: Any, checkpoint: Path) -> None:
    model = load_vision_language_model(SPEC, checkpoint)
    pixels = np.random.default_rng(5).integers(0, 256, (90, 140, 3), dtype=np.uint8)
    batch = model.images.preprocess(Image.fromarray(pixels))[None]
    assert torch.allclose(batch[0], open_clip.image_transform(32, is_train=False)(Image.fromarray(pixels)), atol=1e-5)  # type: ignore[operator]
    with torch.no_grad():
        assert torch.allclose(model.images.embed(batch), clip.encode_image(batch), atol=1e-5)
    assert model.dimension == model.images.num_features == 24


def test_the_image_tower_is_the_plain_backbone_of_the_same_checkpoint(checkpoint: Path) -> None:
    without_text = {key: value for key, value in ARGUMENTS.items() if key != "text_cfg"}
    images = load_vision_language_model(SPEC, checkpoint).images
    plain = load_backbone(BackboneSpec(SPEC.architecture, without_text), checkpoint)
    described = load_backbone(BackboneSpec(SPEC.architecture, {**ARGUMENTS, "text_cfg": {"context_length": 5}}), checkpoint)
    assert images.digest == plain.digest == described.digest
    batch = torch.randn(3, 3, 32, 32)
    assert torch.equal(images.embed(batch), plain.embed(batch))


def test_a_plain_backbone_needs_no_text_tower_of_a_hub(checkpoint: Path) -> None:
    spec = BackboneSpec("open_clip:xlm-roberta-base-ViT-B-32", {"embed_dim": 24, "vision_cfg": VISION})
    assert load_backbone(spec, checkpoint).num_features == 24


def test_a_captioners_image_tower_yields_its_embedding_alone() -> None:
    """Its tokens, which the captions are read from, are left aside."""
    network = build_network(BackboneSpec("open_clip:coca_ViT-B-32", {"force_image_size": 64}))
    assert network.represent is not None
    with torch.no_grad():
        assert network.represent(network.module, torch.zeros(2, 3, 64, 64)).shape == (2, 512)


def test_a_backbones_digest_follows_the_arguments_of_the_image_tower(checkpoint: Path) -> None:
    quick = {"embed_dim": 24, "vision_cfg": VISION, "force_quick_gelu": True}
    digests = {load_backbone(BackboneSpec(f"open_clip:{NAME}", each), checkpoint).digest for each in (ARGUMENTS, quick)}
    assert len(digests) == 2


def test_the_digest_follows_weights_of_both_towers_context_length_and_preprocessing(clip: Any, checkpoint: Path, tmp_path: Path) -> None:
    state = load_file(checkpoint)
    digests = {load_vision_language_model(SPEC, checkpoint).digest}
    for key in ("visual.proj", "text_projection"):
        save_file({**state, key: state[key] + 1}, tmp_path / "w.safetensors")
        digests.add(load_vision_language_model(SPEC, tmp_path / "w.safetensors").digest)
    digests.add(
        load_vision_language_model(VisionLanguageSpec(SPEC.architecture, ARGUMENTS, None, Preprocessing(crop_pct=0.9)), checkpoint).digest
    )
    shorter = save(make_clip(text_cfg={**TEXT, "context_length": 9}), tmp_path / "w.safetensors")
    digests.add(
        load_vision_language_model(
            VisionLanguageSpec(SPEC.architecture, {**ARGUMENTS, "text_cfg": {**TEXT, "context_length": 9}}), shorter
        ).digest
    )
    assert len(digests) == 5
    save_file({**state, "logit_scale": state["logit_scale"] + 1}, tmp_path / "w.safetensors")
    assert load_vision_language_model(SPEC, tmp_path / "w.safetensors").digest in digests  # no embedding depends on it


def test_the_description_counts_both_towers(clip: Any, checkpoint: Path) -> None:
    model = load_vision_language_model(SPEC, checkpoint)
    described = model.describe()
    assert {key: described[key] for key in ("embedding_dimension", "context_length", "tokenizer", "notes")} == {
        "embedding_dimension": 24,
        "context_length": 16,
        "tokenizer": NAME,
        "notes": [],
    }
    assert described["image_tower"] == model.images.describe()
    assert described["parameter_count"] == sum(weights.numel() for weights in clip.parameters()) - 1  # less logit_scale


def test_a_context_length_can_be_forced(tmp_path: Path) -> None:
    torch.manual_seed(0)
    described = {"embed_dim": 24, "vision_cfg": VISION, "force_context_length": 12}
    path = save(open_clip.create_model("ViT-S-32-alt", pretrained_text=False, **described), tmp_path / "w.safetensors")
    model = load_vision_language_model(VisionLanguageSpec("open_clip:ViT-S-32-alt", described), path)
    assert model.describe()["context_length"] == 12


def test_weights_of_an_unnamed_text_tower_fit_an_architecture_that_names_it(checkpoint: Path, own_text: torch.Tensor) -> None:
    """Older files have `token_embedding` where newer architectures have `text.token_embedding`."""
    model = load_vision_language_model(VisionLanguageSpec("open_clip:EVA02-B-16", ARGUMENTS), checkpoint)
    assert torch.allclose(model.embed_text(PHRASES), own_text, atol=1e-6)


def test_progress_counts_phrases_to_the_end(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iis_engine.vision_language.model.PHRASES_PER_BATCH", 2)
    seen = list[tuple[int, int]]()
    load_vision_language_model(SPEC, checkpoint).embed_text(PHRASES, lambda done, total: seen.append((done, total)))
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_a_batch_that_does_not_fit_into_memory_is_halved(checkpoint: Path, own_text: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_vision_language_model(SPEC, checkpoint)
    embed, room = TorchTextTower.embed, 2

    def cramped(tower: TorchTextTower, texts: list[str]) -> torch.Tensor:
        if len(texts) > room:
            raise torch.OutOfMemoryError
        return embed(tower, texts)

    monkeypatch.setattr(TorchTextTower, "embed", cramped)
    assert torch.allclose(model.embed_text(PHRASES), own_text, atol=1e-6)
    room = 0
    with pytest.raises(OutOfMemory, match="Not even one phrase"):
        model.embed_text(PHRASES)


@pytest.mark.parametrize("architecture", ["timm:resnet18", "torchvision:resnet18", "open_clip:", "onnx:thing", "clip", ""])
def test_what_is_no_vision_language_model_is_refused(architecture: str, checkpoint: Path) -> None:
    assert refusal(VisionLanguageSpec(architecture), checkpoint).code == "architecture_unknown"


def test_an_unknown_name_is_answered_with_near_ones(checkpoint: Path) -> None:
    assert "ViT-B-32" in str(refusal(VisionLanguageSpec("open_clip:ViT-B32"), checkpoint))


def test_weights_come_from_one_source(checkpoint: Path) -> None:
    assert "either" in str(refusal(SPEC, None))
    assert "either" in str(refusal(VisionLanguageSpec(SPEC.architecture, pretrained="openai"), checkpoint))
    assert refusal(VisionLanguageSpec(SPEC.architecture, pretrained="nobodys"), None).code == "pretrained_unknown"
    assert "one checkpoint" in str(refusal(SPEC, checkpoint, checkpoint))
    assert "onnx only" in str(refusal(VisionLanguageSpec(SPEC.architecture, ARGUMENTS, tokenizer="RN50"), checkpoint))


def test_weights_that_do_not_fit_are_refused_with_keys_and_shapes(clip: Any, checkpoint: Path, tmp_path: Path) -> None:
    assert "missing keys text_projection, visual.class_embedding" in str(refusal(SPEC, save(clip.visual, tmp_path / "tower.safetensors")))
    wider = VisionLanguageSpec(SPEC.architecture, {**ARGUMENTS, "text_cfg": {**TEXT, "width": 48}})
    assert "positional_embedding is (16, 32) in the file and (16, 48) in the network" in str(refusal(wider, checkpoint))


def test_a_pickled_model_is_refused(clip: Any, tmp_path: Path) -> None:
    torch.save(clip, tmp_path / "clip.pt")
    assert isinstance(refusal(SPEC, tmp_path / "clip.pt"), CheckpointError)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"embed_dim": "24"}, 'argument embed_dim of open_clip:ViT-B-32 must be a whole number from 1 to 1,000,000; it is "24"'),
        ({"embed_dim": True}, "must be a whole number"),
        ({"vision_cfg": 3}, "must be an object that describes the image tower"),
        ({"vision_cfg": {"widht": 3}}, "has no field 'vision_cfg.widht'. Near it: vision_cfg.width"),
        ({"vision_cfg": {"width": [3]}}, "field vision_cfg.width of open_clip:ViT-B-32 must be"),
        ({"vision_cfg": {"layers": [1, 2, 3]}}, "or a list of four such"),
        ({"vision_cfg": {"timm_model_pretrained": True}}, "has no field 'vision_cfg.timm_model_pretrained'"),
        ({"vision_cfg": {"timm_model_name": "hf-hub:somebody/model"}}, "timm has no architecture 'hf-hub:somebody/model'"),
        ({"vision_cfg": {"norm_kwargs": {"device": "meta"}}}, "an object with nothing but eps, a number or null"),
        ({"text_cfg": {"hf_model_name": "roberta-base"}}, "has no field 'text_cfg.hf_model_name'"),
        ({"text_cfg": {"hf_tokenizer_name": "roberta-base"}}, "has no field 'text_cfg.hf_tokenizer_name'"),
        ({"text_cfg": {"mlp_ratio": float("nan")}}, "text_cfg.mlp_ratio of open_clip:ViT-B-32 must be a number"),
        ({"text_cfg": {"vocab_size": 10**12}}, "must be a whole number from 1 to 1,000,000"),
        ({"text_cfg": TEXT, "force_context_length": 8}, "Give text_cfg.context_length in place of force_context_length"),
        ({"vision_cfg": {**VISION, "head_width": 64}}, "cannot be built"),
        ({"force_quickgelu": True}, "has no argument 'force_quickgelu'. Near it: force_quick_gelu"),
        ({"pretrained": "openai"}, "has no argument 'pretrained'"),
    ],
)
def test_arguments_that_describe_no_network_are_a_sentence(arguments: dict[str, Any], sentence: str, checkpoint: Path) -> None:
    assert sentence in str(refusal(VisionLanguageSpec(SPEC.architecture, {**ARGUMENTS, **arguments}), checkpoint))
    if "text_cfg" not in arguments:
        with pytest.raises(ArchitectureError):
            load_backbone(BackboneSpec(SPEC.architecture, {**ARGUMENTS, **arguments}), checkpoint)


def test_a_tokenizer_with_more_ids_than_the_text_tower_knows_is_refused(tmp_path: Path) -> None:
    small = {**ARGUMENTS, "text_cfg": {**TEXT, "vocab_size": 64}}
    error = refusal(VisionLanguageSpec(SPEC.architecture, small), save(make_clip(text_cfg=small["text_cfg"]), tmp_path / "w.safetensors"))
    assert error.code == "tokenizer_misfit"
    assert "up to 49,407" in str(error)
    assert "vocabulary of 64" in str(error)


def test_a_text_tower_that_never_finds_its_end_token_is_refused(tmp_path: Path) -> None:
    """CLIP's tokens hold no id 2, so a tower that reads the embedding at id 2 gives all phrases the same one."""
    seeking = {**ARGUMENTS, "text_cfg": {**TEXT, "pool_type": "eos", "eos_id": 2}}
    path = save(make_clip(text_cfg=seeking["text_cfg"]), tmp_path / "w.safetensors")
    error = refusal(VisionLanguageSpec(SPEC.architecture, seeking), path)
    assert error.code == "tokenizer_misfit"
    assert "different phrases the same embedding" in str(error)


@pytest.mark.parametrize("name", ["ViT-B-16-SigLIP", "roberta-ViT-B-32"])
def test_a_tokenizer_that_would_have_to_be_fetched_and_cannot_is_a_sentence(
    name: str, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert refusal(VisionLanguageSpec(f"open_clip:{name}"), checkpoint).code == "tokenizer_unavailable"


def test_towers_that_disagree_are_refused_with_both_numbers(tmp_path: Path) -> None:
    unprojected = {**ARGUMENTS, "text_cfg": {**TEXT, "proj_type": "none"}}
    path = save(make_clip(text_cfg=unprojected["text_cfg"]), tmp_path / "w.safetensors")
    error = refusal(VisionLanguageSpec(SPEC.architecture, unprojected), path)
    assert error.code == "towers_disagree"
    assert "24" in str(error)
    assert "32" in str(error)


@pytest.mark.parametrize(("factor", "code"), [(0.0, "embedding_zero"), (3e38, "representation_not_finite")])
def test_embeddings_without_a_direction_are_refused(factor: float, code: str, checkpoint: Path, tmp_path: Path) -> None:
    state = load_file(checkpoint)
    save_file({**state, "text_projection": torch.full_like(state["text_projection"], factor)}, tmp_path / "w.safetensors")
    assert refusal(SPEC, tmp_path / "w.safetensors").code == code


# Pairs of ONNX files


class ImageTower(nn.Module):
    def __init__(self, clip: Any) -> None:
        super().__init__()
        self.visual = clip.visual

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.visual(images)


class TextTower(nn.Module):
    """Tokens under a mask of zero count as padding."""

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


PAIR = VisionLanguageSpec("onnx")


def words_graph(vocabulary: int = 49408, **changes: Any) -> onnx.ModelProto:
    """Text tower of a table: the mean of the rows that the ids name, (n, 24)."""
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


def test_a_pair_of_files_embeds_as_the_model_that_it_was_exported_from(
    clip: Any, image_file: Path, text_file: Path, own_text: torch.Tensor
) -> None:
    model = load_vision_language_model(PAIR, image_file, text_file)
    assert torch.allclose(model.embed_text(PHRASES), own_text, atol=1e-5)
    batch = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(model.images.embed(batch), clip.encode_image(batch), atol=1e-4)
    described = model.describe()
    assert (described["tokenizer"], described["context_length"], described["embedding_dimension"]) == ("CLIP", 16, 24)
    assert described["parameter_count"] == pytest.approx(sum(weights.numel() for weights in clip.parameters()), rel=0.01)


def test_a_pairs_image_tower_is_the_plain_backbone_tapped_at_the_same_output(image_file: Path, text_file: Path) -> None:
    model = load_vision_language_model(PAIR, image_file, text_file)
    assert model.images.digest == load_backbone(BackboneSpec("onnx", layer="image_embeds"), image_file).digest


def test_the_digest_of_a_pair_follows_both_files_and_the_tokenizer(
    image_file: Path, text_file: Path, words_file: Callable[..., Path]
) -> None:
    named = VisionLanguageSpec("onnx", tokenizer="RN50")
    pairs = [(PAIR, text_file), (PAIR, words_file()), (named, text_file)]
    assert len({load_vision_language_model(spec, image_file, text).digest for spec, text in pairs}) == 3


@pytest.mark.parametrize("rows", [1, 3])
def test_fixed_batches_of_int32_tokens_are_filled_up(
    rows: int, clip: Any, image_file: Path, tmp_path: Path, own_text: torch.Tensor
) -> None:
    tokens = torch.zeros(rows, 16, dtype=torch.int32)
    path = export(TextTower(clip).eval(), (tokens,), tmp_path / "text.onnx", ["tokens"], "features", fixed=True)
    assert torch.allclose(load_vision_language_model(PAIR, image_file, path).embed_text(PHRASES), own_text, atol=1e-5)


def test_a_mask_is_one_at_real_tokens(clip: Any, image_file: Path, tmp_path: Path, own_text: torch.Tensor) -> None:
    tokens = torch.zeros(2, 16, dtype=torch.int64)
    path = export(TextTower(clip).eval(), (tokens, tokens + 1), tmp_path / "text.onnx", ["input_ids", "attention_mask"], "text_embeds")
    assert torch.allclose(load_vision_language_model(PAIR, image_file, path).embed_text(PHRASES), own_text, atol=1e-5)


def test_an_exclamation_mark_is_no_padding() -> None:
    """Its id is 0, which CLIP also fills up with."""
    tokens, real = load_tokenizer(None, 7)(["!~", "bird"])
    assert tokens[0].tolist() == [49406, 0, 349, 49407, 0, 0, 0]
    assert real.tolist() == [[True] * 4 + [False] * 3, [True] * 3 + [False] * 4]


def test_an_open_context_length_is_the_tokenizers(image_file: Path, words_file: Callable[..., Path]) -> None:
    assert load_vision_language_model(PAIR, image_file, words_file()).describe()["context_length"] == 77
    named = VisionLanguageSpec("onnx", tokenizer="PE-Core-B-16")
    described = load_vision_language_model(named, image_file, words_file()).describe()
    assert (described["context_length"], described["tokenizer"]) == (32, "PE-Core-B-16")


def test_among_several_outputs_the_embedding_is_taken_by_its_name(image_file: Path, words_file: Callable[..., Path]) -> None:
    nodes = [helper.make_node("Identity", ["out"], ["text_embeds"]), helper.make_node("Neg", ["out"], ["pooled"])]
    shapes = {"rows": ["n", "t", 24], "pooled": ["n", 24], "text_embeds": ["n", 24]}
    chosen = load_vision_language_model(PAIR, image_file, words_file(nodes=nodes, outputs=shapes)).embed_text(PHRASES)
    assert torch.allclose(chosen, load_vision_language_model(PAIR, image_file, words_file()).embed_text(PHRASES))


def test_outputs_of_which_none_is_named_an_embedding_are_refused(image_file: Path, words_file: Callable[..., Path]) -> None:
    error = refusal(
        PAIR, image_file, words_file(nodes=[helper.make_node("Neg", ["out"], ["b"])], outputs={"out": ["n", 24], "b": ["n", 24]})
    )
    assert "out (2 dimensions), b (2 dimensions)" in str(error)
    assert "name it text_embeds" in str(error)
    assert "must have one output" in str(refusal(PAIR, image_file, words_file(outputs={"rows": ["n", "t", 24]})))


def test_an_image_tower_of_several_outputs_is_asked_for_one(image_file: Path, text_file: Path, tmp_path: Path) -> None:
    model = onnx.load(image_file)
    model.graph.node.append(helper.make_node("Neg", ["image_embeds"], ["text_features"]))
    model.graph.output.append(helper.make_tensor_value_info("text_features", TensorProto.FLOAT, ["n", 24]))
    onnx.save(model, tmp_path / "two.onnx")
    assert load_vision_language_model(PAIR, tmp_path / "two.onnx", text_file).dimension == 24  # image_embeds says whose it is
    for output, name in zip(model.graph.output, ("a", "b"), strict=True):
        model.graph.node.append(helper.make_node("Identity", [output.name], [name]))
        output.name = name
    onnx.save(model, tmp_path / "two.onnx")
    assert "name it image_embeds" in str(refusal(PAIR, tmp_path / "two.onnx", text_file))


@pytest.mark.parametrize(
    ("changes", "sentence"),
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
def test_a_graph_that_is_no_text_tower_is_a_sentence(
    changes: dict[str, Any], sentence: str, image_file: Path, words_file: Callable[..., Path]
) -> None:
    assert sentence in str(refusal(PAIR, image_file, words_file(**changes)))


def test_towers_of_two_models_disagree(image_file: Path, words_file: Callable[..., Path]) -> None:
    error = refusal(PAIR, image_file, words_file(table=np.ones((49408, 7), np.float32), outputs={"out": ["n", 7]}))
    assert error.code == "towers_disagree"
    assert "24 numbers and phrases 7" in str(error)


def test_a_table_shorter_than_the_tokenizers_ids_is_a_misfit(image_file: Path, words_file: Callable[..., Path]) -> None:
    error = refusal(PAIR, image_file, words_file(vocabulary=1000))
    assert error.code == "tokenizer_misfit"
    assert "ids up to 49,407" in str(error)


def test_a_context_length_that_the_text_tower_does_not_take_is_a_misfit(image_file: Path, words_file: Callable[..., Path]) -> None:
    """The file leaves the length open and then adds one number to each of 16 places."""
    places = helper.make_node("Constant", [], ["places"], value=numpy_helper.from_array(np.ones((16, 1), np.float32)))
    nodes = [
        places,
        helper.make_node("Add", ["rows", "places"], ["sum"]),
        helper.make_node("ReduceMean", ["sum"], ["o"], axes=[1], keepdims=0),
    ]
    error = refusal(PAIR, image_file, words_file(nodes=nodes, outputs={"o": ["n", 24]}))
    assert error.code == "tokenizer_misfit"
    assert "(2, 77)" in str(error)


def test_a_pair_is_two_files_and_nothing_else(image_file: Path, text_file: Path, checkpoint: Path) -> None:
    assert refusal(PAIR, image_file).param == "text_checkpoint"
    assert refusal(PAIR, None, text_file).param == "checkpoint"
    assert refusal(VisionLanguageSpec("onnx", pretrained="openai"), image_file, text_file).param == "pretrained"
    assert refusal(VisionLanguageSpec("onnx", {"embed_dim": 24}), image_file, text_file).param == "arguments"
    assert refusal(VisionLanguageSpec("onnx", tokenizer="ViT-B32"), image_file, text_file).code == "tokenizer_unavailable"
    for files in ((image_file, image_file), (text_file, text_file), (checkpoint, text_file), (image_file, checkpoint)):
        refusal(PAIR, *files)


def test_a_text_tower_with_weights_in_another_file_is_refused(image_file: Path, text_file: Path, tmp_path: Path) -> None:
    onnx.save(onnx.load(text_file), tmp_path / "a.onnx", save_as_external_data=True, location="a.bin", size_threshold=0)
    assert refusal(PAIR, image_file, tmp_path / "a.onnx").code == "onnx_external_data"
