"""Parsing of --vlm and --vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest

from iis_client import ConfigurationError, LocalFileError
from iis_client.cli.settings.vocabulary_options import (
    TextOptions,
    VlmSource,
    VocabularySource,
    parse_reference,
    parse_text_options,
    parse_vlm,
    parse_vocabulary,
)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with weights and phrases in it."""
    for name in ("weights.safetensors", "laion2b", "image.onnx", "text.onnx", "phrases.csv"):
        (tmp_path / name).write_bytes(b"content")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ("mdl_01", VlmSource(model="mdl_01")),
        ("CLIP, epoch 3", VlmSource(model="CLIP, epoch 3")),
        ("@last", VlmSource(model="@last")),
        ("open_clip:ViT-B-16@weights.safetensors", VlmSource(architecture="open_clip:ViT-B-16", checkpoint=Path("weights.safetensors"))),
        ("open_clip:ViT-B-16@laion400m", VlmSource(architecture="open_clip:ViT-B-16", pretrained="laion400m")),
        ("open_clip:ViT-B-16@laion2b", VlmSource(architecture="open_clip:ViT-B-16", checkpoint=Path("laion2b"))),
        ("onnx@image.onnx,text.onnx", VlmSource(architecture="onnx", checkpoint=Path("image.onnx"), text_checkpoint=Path("text.onnx"))),
        (
            "onnx:ViT-B-16-SigLIP@image.onnx,text.onnx",
            VlmSource(architecture="onnx", checkpoint=Path("image.onnx"), text_checkpoint=Path("text.onnx"), tokenizer="ViT-B-16-SigLIP"),
        ),
    ],
)
@pytest.mark.usefixtures("files")
def test_a_vlm_is_a_reference_a_file_or_a_pretrained_tag(given: str, source: VlmSource) -> None:
    assert parse_vlm(given, {}, {}) == source


@pytest.mark.usefixtures("files")
def test_arguments_and_preprocessing_belong_to_a_new_model_only() -> None:
    source = parse_vlm("open_clip:ViT-B-16@weights.safetensors", {"embed_dim": 32}, {"input_size": 32})
    assert (source.arguments, source.preprocessing) == ({"embed_dim": 32}, {"input_size": 32})
    with pytest.raises(ConfigurationError, match="mdl_01 is registered with its arguments"):
        parse_vlm("mdl_01", {"embed_dim": 32}, {})
    with pytest.raises(ConfigurationError, match="is registered with its arguments"):
        parse_vlm("mdl_01", {}, {}, "openai")
    assert parse_vlm("open_clip:ViT-B-16@weights.safetensors", {}, {}, "openai").weights_of == "openai"
    with pytest.raises(ConfigurationError, match="a tag is these weights"):
        parse_vlm("open_clip:ViT-B-16@laion400m_e31", {}, {}, "openai")


@pytest.mark.parametrize("given", ["weights.safetensors", "open_clip:ViT-B-16", "open_clip:@x", "timm:resnet18@x", "onnx@image.onnx", ""])
@pytest.mark.usefixtures("files")
def test_an_invalid_vlm_is_refused_with_the_valid_forms(given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--vlm takes open_clip:NAME@CHECKPOINT .*, not "):
        parse_vlm(given, {}, {})


@pytest.mark.parametrize(
    "given", ["open_clip:ViT-B-16@missing.safetensors", "open_clip:ViT-B-16@folder/weights", "onnx@image.onnx,missing.onnx"]
)
@pytest.mark.usefixtures("files")
def test_a_missing_checkpoint_file_is_not_taken_for_a_tag(given: str) -> None:
    with pytest.raises(LocalFileError, match="There is no file"):
        parse_vlm(given, {}, {})


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ("birds", VocabularySource("birds")),
        ("weather-and-light", VocabularySource("weather-and-light")),
        ("cst_01", VocabularySource("cst_01")),
        ("cst_01@12", VocabularySource("cst_01", 12)),
        ("@last", VocabularySource("@last")),
        ("@last@2", VocabularySource("@last", 2)),
        ("our birds, v1.2", VocabularySource("our birds, v1.2")),
        ("phrases.csv", VocabularySource(file=Path("phrases.csv"))),
        ("named after a file.csv", VocabularySource("named after a file.csv")),
        ("from-classes", VocabularySource()),
    ],
)
@pytest.mark.usefixtures("files")
def test_a_vocabulary_is_a_name_an_id_a_file_or_from_classes(given: str, source: VocabularySource) -> None:
    assert parse_vocabulary(given) == source


@pytest.mark.parametrize("given", ["cst_01@0", "cst_01@", "@", "@first", ""])
def test_an_invalid_vocabulary_is_refused_with_the_valid_forms(given: str) -> None:
    with pytest.raises(ConfigurationError, match="a vocabulary is a shipped name"):
        parse_reference(given)


def test_vlm_and_vocabulary_are_required_together() -> None:
    assert parse_text_options(None, {}, {}, None, needed=False) is None
    assert parse_text_options("mdl_01", {}, {}, "birds", needed=True) == TextOptions(VlmSource("mdl_01"), VocabularySource("birds"))
    for vlm, arguments, vocabulary in (("mdl_01", {}, None), (None, {}, "birds"), (None, {"embed_dim": 32}, None)):
        with pytest.raises(ConfigurationError, match="are required together"):
            parse_text_options(vlm, arguments, {}, vocabulary, needed=False)
        with pytest.raises(ConfigurationError, match="A text library requires --vlm"):
            parse_text_options(vlm, arguments, {}, vocabulary, needed=True)
