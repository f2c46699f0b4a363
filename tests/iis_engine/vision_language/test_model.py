"""open_clip models: embeddings equal open_clip's own, and weights, arguments or tokenizers that do not fit are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from iis_engine.backbones.architectures import build_network
from iis_engine.backbones.factory import load_backbone
from iis_engine.errors import ArchitectureError, CheckpointError, EngineError, OutOfMemory
from iis_engine.specs import BackboneSpec, Preprocessing, VisionLanguageSpec
from iis_engine.vision_language.model import load_vision_language_model
from iis_engine.vision_language.text_towers import TorchTextTower

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
ARGUMENTS: dict[str, Any] = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT}
NAME = "ViT-B-32"
SPEC = VisionLanguageSpec(f"open_clip:{NAME}", ARGUMENTS)


def make_clip(**changes: Any) -> Any:
    torch.manual_seed(0)
    return open_clip.create_model(NAME, pretrained_text=False, **{**ARGUMENTS, **changes}).eval()


def save(module: nn.Module, path: Path) -> Path:
    save_file({key: tensor.contiguous() for key, tensor in module.state_dict().items()}, path)
    return path


def refusal(spec: VisionLanguageSpec, checkpoint: Path | None, text_checkpoint: Path | None = None) -> EngineError:
    with pytest.raises(EngineError) as caught:
        load_vision_language_model(spec, checkpoint, text_checkpoint)
    assert str(caught.value).endswith(".")
    return caught.value


def test_phrase_embeddings_equal_open_clips_own_as_unit_rows(checkpoint: Path, expected_text: torch.Tensor, phrases: list[str]) -> None:
    model = load_vision_language_model(SPEC, checkpoint)
    embeddings = model.embed_text(phrases)
    assert embeddings.dtype == torch.float32
    assert torch.allclose(embeddings, expected_text, atol=1e-6)
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(5), atol=1e-6)
    assert model.embed_text([]).shape == (0, 24)


def test_image_embeddings_equal_open_clips_own_without_normalisation(clip: Any, checkpoint: Path) -> None:
    model = load_vision_language_model(SPEC, checkpoint)
    pixels = np.random.default_rng(5).integers(0, 256, (90, 140, 3), dtype=np.uint8)
    batch = model.images.preprocess(Image.fromarray(pixels))[None]
    transform: Any = open_clip.image_transform(32, is_train=False)
    assert torch.allclose(batch[0], transform(Image.fromarray(pixels)), atol=1e-5)
    with torch.no_grad():
        assert torch.allclose(model.images.embed(batch), clip.encode_image(batch), atol=1e-5)
    assert model.dimension == model.images.num_features == 24


def test_the_image_tower_equals_the_backbone_of_the_same_checkpoint(checkpoint: Path) -> None:
    without_text = {key: value for key, value in ARGUMENTS.items() if key != "text_cfg"}
    images = load_vision_language_model(SPEC, checkpoint).images
    plain = load_backbone(BackboneSpec(SPEC.architecture, without_text), checkpoint)
    described = load_backbone(BackboneSpec(SPEC.architecture, {**ARGUMENTS, "text_cfg": {"context_length": 5}}), checkpoint)
    assert images.digest == plain.digest == described.digest
    batch = torch.randn(3, 3, 32, 32)
    assert torch.equal(images.embed(batch), plain.embed(batch))


def test_a_backbone_needs_no_text_tower_of_a_hub(checkpoint: Path) -> None:
    spec = BackboneSpec("open_clip:xlm-roberta-base-ViT-B-32", {"embed_dim": 24, "vision_cfg": VISION})
    assert load_backbone(spec, checkpoint).num_features == 24


def test_the_image_tower_of_a_captioning_model_returns_its_embedding_alone() -> None:
    """It also computes tokens, for the captions."""
    network = build_network(BackboneSpec("open_clip:coca_ViT-B-32", {"force_image_size": 64}))
    assert network.represent is not None
    with torch.no_grad():
        assert network.represent(network.module, torch.zeros(2, 3, 64, 64)).shape == (2, 512)


def test_the_digest_of_a_backbone_depends_on_the_arguments_of_the_image_tower(checkpoint: Path) -> None:
    quick = {"embed_dim": 24, "vision_cfg": VISION, "force_quick_gelu": True}
    digests = {load_backbone(BackboneSpec(f"open_clip:{NAME}", each), checkpoint).digest for each in (ARGUMENTS, quick)}
    assert len(digests) == 2


def test_the_digest_depends_on_weights_of_both_towers_context_length_and_preprocessing(clip: Any, checkpoint: Path, tmp_path: Path) -> None:
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
    assert {key: described[key] for key in ("embedding_dimension", "context_length", "tokenizer")} == {
        "embedding_dimension": 24,
        "context_length": 16,
        "tokenizer": NAME,
    }
    (note,) = described["notes"]
    assert note.startswith("GELU was assumed, but these published weights of open_clip:ViT-B-32 use QuickGELU: openai")
    assert described["image_tower"] == model.images.describe()
    assert described["parameter_count"] == sum(weights.numel() for weights in clip.parameters()) - 1  # without logit_scale


def test_a_context_length_can_be_forced(tmp_path: Path) -> None:
    torch.manual_seed(0)
    described: dict[str, Any] = {"embed_dim": 24, "vision_cfg": VISION, "force_context_length": 12}
    path = save(open_clip.create_model("ViT-S-32-alt", pretrained_text=False, **described), tmp_path / "w.safetensors")
    model = load_vision_language_model(VisionLanguageSpec("open_clip:ViT-S-32-alt", described), path)
    assert model.describe()["context_length"] == 12


def test_text_weights_without_the_prefix_text_fit_newer_architectures(
    checkpoint: Path, expected_text: torch.Tensor, phrases: list[str]
) -> None:
    """Older files have `token_embedding` where newer architectures have `text.token_embedding`."""
    model = load_vision_language_model(VisionLanguageSpec("open_clip:EVA02-B-16", ARGUMENTS), checkpoint)
    assert torch.allclose(model.embed_text(phrases), expected_text, atol=1e-6)


def test_progress_counts_phrases_to_the_end(checkpoint: Path, monkeypatch: pytest.MonkeyPatch, phrases: list[str]) -> None:
    monkeypatch.setattr("iis_engine.vision_language.model._PHRASES_PER_BATCH", 2)
    reports = list[tuple[int, int]]()
    load_vision_language_model(SPEC, checkpoint).embed_text(phrases, lambda done, total: reports.append((done, total)))
    assert reports == [(2, 5), (4, 5), (5, 5)]


def test_a_batch_that_does_not_fit_into_memory_is_halved(
    checkpoint: Path, expected_text: torch.Tensor, monkeypatch: pytest.MonkeyPatch, phrases: list[str]
) -> None:
    model = load_vision_language_model(SPEC, checkpoint)
    embed, batch_max = TorchTextTower.embed, 2

    def embed_small_batches(tower: TorchTextTower, texts: list[str]) -> torch.Tensor:
        if len(texts) > batch_max:
            raise torch.OutOfMemoryError
        return embed(tower, texts)

    monkeypatch.setattr(TorchTextTower, "embed", embed_small_batches)
    assert torch.allclose(model.embed_text(phrases), expected_text, atol=1e-6)
    batch_max = 0
    with pytest.raises(OutOfMemory, match="Not even one phrase"):
        model.embed_text(phrases)


@pytest.mark.parametrize("architecture", ["timm:resnet18", "torchvision:resnet18", "open_clip:", "onnx:thing", "clip", ""])
def test_other_architectures_are_refused(architecture: str, checkpoint: Path) -> None:
    assert refusal(VisionLanguageSpec(architecture), checkpoint).code == "architecture_unknown"


def test_an_unknown_name_is_refused_with_similar_ones(checkpoint: Path) -> None:
    assert "ViT-B-32" in str(refusal(VisionLanguageSpec("open_clip:ViT-B32"), checkpoint))


def test_exactly_one_source_of_weights_is_required(checkpoint: Path) -> None:
    assert "either" in str(refusal(SPEC, None))
    assert "either" in str(refusal(VisionLanguageSpec(SPEC.architecture, pretrained="openai"), checkpoint))
    assert refusal(VisionLanguageSpec(SPEC.architecture, pretrained="no_such_tag"), None).code == "pretrained_unknown"
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
    ("arguments", "message"),
    [
        ({"embed_dim": "24"}, 'argument embed_dim of open_clip:ViT-B-32 must be a whole number from 1 to 1,000,000; it is "24"'),
        ({"embed_dim": True}, "must be a whole number"),
        ({"vision_cfg": 3}, "must be an object that describes the image tower"),
        ({"vision_cfg": {"widht": 3}}, "has no field 'vision_cfg.widht' (did you mean vision_cfg.width"),
        ({"vision_cfg": {"width": [3]}}, "field vision_cfg.width of open_clip:ViT-B-32 must be"),
        ({"vision_cfg": {"layers": [1, 2, 3]}}, "or a list of four such"),
        ({"vision_cfg": {"timm_model_pretrained": True}}, "has no field 'vision_cfg.timm_model_pretrained'"),
        ({"vision_cfg": {"timm_model_name": "hf-hub:owner/model"}}, "timm has no architecture 'hf-hub:owner/model'"),
        ({"vision_cfg": {"norm_kwargs": {"device": "meta"}}}, "an object with the only key eps, a number or null"),
        ({"text_cfg": {"hf_model_name": "roberta-base"}}, "has no field 'text_cfg.hf_model_name'"),
        ({"text_cfg": {"hf_tokenizer_name": "roberta-base"}}, "has no field 'text_cfg.hf_tokenizer_name'"),
        ({"text_cfg": {"mlp_ratio": float("nan")}}, "text_cfg.mlp_ratio of open_clip:ViT-B-32 must be a number"),
        ({"text_cfg": {"vocab_size": 10**12}}, "must be a whole number from 1 to 1,000,000"),
        ({"text_cfg": TEXT, "force_context_length": 8}, "give text_cfg.context_length instead of force_context_length"),
        ({"vision_cfg": {**VISION, "head_width": 64}}, "cannot be built"),
        ({"force_quickgelu": True}, "has no argument 'force_quickgelu' (did you mean force_quick_gelu"),
        ({"pretrained": "openai"}, "has no argument 'pretrained'"),
    ],
)
def test_invalid_arguments_are_refused_with_a_message(arguments: dict[str, Any], message: str, checkpoint: Path) -> None:
    assert message in str(refusal(VisionLanguageSpec(SPEC.architecture, {**ARGUMENTS, **arguments}), checkpoint))
    if "text_cfg" not in arguments:
        with pytest.raises(ArchitectureError):
            load_backbone(BackboneSpec(SPEC.architecture, {**ARGUMENTS, **arguments}), checkpoint)


def test_a_tokenizer_with_more_ids_than_the_text_tower_is_refused(tmp_path: Path) -> None:
    small = {**ARGUMENTS, "text_cfg": {**TEXT, "vocab_size": 64}}
    error = refusal(VisionLanguageSpec(SPEC.architecture, small), save(make_clip(text_cfg=small["text_cfg"]), tmp_path / "w.safetensors"))
    assert error.code == "tokenizer_misfit"
    assert "up to 49,407" in str(error)
    assert "vocabulary of 64" in str(error)


def test_a_text_tower_with_another_end_token_than_the_tokenizer_is_refused(tmp_path: Path) -> None:
    """CLIP's tokenizer never emits id 2, so a tower that pools at id 2 gives all phrases the same embedding."""
    arguments = {**ARGUMENTS, "text_cfg": {**TEXT, "pool_type": "eos", "eos_id": 2}}
    path = save(make_clip(text_cfg=arguments["text_cfg"]), tmp_path / "w.safetensors")
    error = refusal(VisionLanguageSpec(SPEC.architecture, arguments), path)
    assert error.code == "tokenizer_misfit"
    assert "different phrases the same embedding" in str(error)


@pytest.mark.parametrize("name", ["ViT-B-16-SigLIP", "roberta-ViT-B-32"])
def test_a_tokenizer_that_cannot_be_downloaded_is_refused(
    name: str, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert refusal(VisionLanguageSpec(f"open_clip:{name}"), checkpoint).code == "tokenizer_unavailable"


def test_towers_of_different_dimensions_are_refused_with_both_numbers(tmp_path: Path) -> None:
    unprojected = {**ARGUMENTS, "text_cfg": {**TEXT, "proj_type": "none"}}
    path = save(make_clip(text_cfg=unprojected["text_cfg"]), tmp_path / "w.safetensors")
    error = refusal(VisionLanguageSpec(SPEC.architecture, unprojected), path)
    assert error.code == "towers_disagree"
    assert "24" in str(error)
    assert "32" in str(error)


@pytest.mark.parametrize(("factor", "code"), [(0.0, "embedding_zero"), (3e38, "representation_not_finite")])
def test_zero_and_infinite_embeddings_are_refused(factor: float, code: str, checkpoint: Path, tmp_path: Path) -> None:
    state = load_file(checkpoint)
    save_file({**state, "text_projection": torch.full_like(state["text_projection"], factor)}, tmp_path / "w.safetensors")
    assert refusal(SPEC, tmp_path / "w.safetensors").code == code
