"""Embeddings of phrases and of classes: prompts, files, and joining the two."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from demo import language_model as demo_language
from iis_engine.specs import VisionLanguageSpec
from iis_engine.vision_language.model import VisionLanguageModel, load_vision_language_model
from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings, embed_classes, embed_phrases, join
from iis_engine.vocabularies.phrases import Phrase
from support.planted import DECOYS, PHRASES, Planted

VOCABULARY = (Phrase(PHRASES[0], "colours"), *(Phrase(text) for text in DECOYS))
CLASSES = ("001.Warm_circle", "cold cross, blue cross")


@pytest.fixture(scope="module")
def model(planted: Planted) -> VisionLanguageModel:
    spec = VisionLanguageSpec(demo_language.ARCHITECTURE, demo_language.ARGUMENTS)
    return load_vision_language_model(spec, planted.language, device="cpu")


def test_a_phrase_is_embedded_without_a_prompt_and_a_class_as_the_mean_of_its_prompts(model: VisionLanguageModel) -> None:
    phrases, classes = embed_phrases(model, VOCABULARY), embed_classes(model, CLASSES)
    assert torch.equal(phrases.vectors, model.embed_text([phrase.text for phrase in VOCABULARY]))
    prompts = model.embed_text(["cold cross", "a photo of cold cross", "a photo of a cold cross"])
    torch.testing.assert_close(classes.class_vectors[1], normalize(prompts.mean(dim=0), dim=0))
    assert (phrases.class_names, len(phrases.class_vectors), classes.phrases, len(classes.vectors)) == ((), 0, (), 0)


def test_saved_phrases_and_classes_are_joined(model: VisionLanguageModel, tmp_path: Path) -> None:
    parts = {"phrases": embed_phrases(model, VOCABULARY), "classes": embed_classes(model, CLASSES)}
    for name, part in parts.items():
        part.save(tmp_path / name)
    joined = join(*(PhraseEmbeddings.load(tmp_path / name) for name in parts))
    assert (joined.phrases, joined.class_names) == (VOCABULARY, CLASSES)
    assert torch.equal(joined.vectors, parts["phrases"].vectors)
    assert torch.equal(joined.class_vectors, parts["classes"].class_vectors)


def test_an_empty_list_of_classes_has_no_embeddings(model: VisionLanguageModel) -> None:
    assert embed_classes(model, ()).class_vectors.shape == (0, model.dimension)


def test_progress_counts_phrases_and_the_prompts_of_classes(model: VisionLanguageModel) -> None:
    reports: list[tuple[int, int]] = []
    embed_phrases(model, VOCABULARY, lambda done, total: reports.append((done, total)))
    embed_classes(model, CLASSES, lambda done, total: reports.append((done, total)))
    assert reports == [(9, 9), (6, 6)]
