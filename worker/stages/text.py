"""The stages that a vision-language model computes, and those that read phrases. Beside them: `worker.stages.scoring`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from worker.stages.datasets import open_images
from worker.stages.extraction import extracted
from worker.stages.files import CLASSES, EMBEDDINGS, FEATURES, LIBRARY, NAMES, PHRASES, VOCABULARY
from worker.stages.reporter import Reporter
from worker.stages.specs import DatasetRequest, ModelRequest, open_vision_language_model


def embed_images(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Image embeddings of both splits -> embeddings.safetensors; one pass serves every backbone and every vocabulary."""
    tower = open_vision_language_model(ModelRequest.from_json(arguments["sources"]["vlm"])).images
    extracted(tower, workspace, arguments, None, tell).save(workspace / EMBEDDINGS)
    return {}


def embed_phrases(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Text embeddings of a vocabulary -> phrases.safetensors; they serve every data set."""
    from iis_engine.vision_language.phrase_embeddings import embed_phrases

    model = open_vision_language_model(ModelRequest.from_json(arguments["sources"]["vlm"]))
    embed_phrases(model, _vocabulary(workspace), tell.progress).save(workspace / PHRASES)
    return {}


def embed_classes(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Text embeddings of class names -> classes.safetensors; they serve every vocabulary."""
    from iis_engine.vision_language.phrase_embeddings import embed_classes

    model = open_vision_language_model(ModelRequest.from_json(arguments["sources"]["vlm"]))
    embed_classes(model, arguments["class_names"], tell.progress).save(workspace / CLASSES)
    return {}


def gather_phrases(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Phrases from what `classes` mean that hold none of them and of `class_names`: {phrases: [[text, group], …], dropped: see below}."""
    from iis_engine.vocabularies.class_attributes import phrases_from_classes
    from iis_engine.vocabularies.cleaning import clean

    gathered, of_own_classes = phrases_from_classes(arguments["classes"])
    kept, of_others = clean(gathered, arguments["class_names"])
    left_out = (*of_own_classes, *of_others)
    dropped = [{"text": one.text, "reason": one.reason, "other": one.other, "similarity": None} for one in left_out]
    return {"phrases": [[phrase.text, phrase.group] for phrase in kept], "dropped": dropped}


def clean_phrases(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Phrases that mean nearly the same, or nearly a class: {kept: places, dropped: [{text, reason, other, similarity}]}."""
    from iis_engine.libraries.near_duplicates import drop_near

    kept, left_out = drop_near(_text_embeddings(workspace, classes=arguments["classes"]))
    dropped = [
        {"text": one.phrase, "reason": one.reason, "other": one.details["other"], "similarity": one.details["cosine"]} for one in left_out
    ]
    return {"kept": kept, "dropped": dropped}


def name(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The phrases nearest to each visual concept -> names.json."""
    from iis_engine.features.feature_set import FeatureSet
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.libraries.naming import embed_exemplars, name_concepts, save_names
    from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings

    features, library = FeatureSet.load(workspace / FEATURES), ConceptLibrary.load(workspace / LIBRARY)
    tower = open_vision_language_model(ModelRequest.from_json(arguments["sources"]["vlm"])).images
    crops = embed_exemplars(
        tower, open_images(workspace, DatasetRequest.from_json(arguments["sources"]["dataset"])), features, library, tell.progress
    )
    save_names(name_concepts(library, crops, PhraseEmbeddings.load(workspace / PHRASES)), workspace / NAMES)
    return {}


def text_source(workspace: Path) -> Any:
    from iis_engine.features.feature_set import FeatureSet
    from iis_engine.libraries.text import TextSource

    return TextSource(_text_embeddings(workspace, classes=True), FeatureSet.load(workspace / EMBEDDINGS))


def _vocabulary(workspace: Path) -> list[Any]:
    from iis_engine.vocabularies.phrases import Phrase

    return [Phrase(text, group) for text, group in json.loads((workspace / VOCABULARY).read_text())]


def _text_embeddings(workspace: Path, *, classes: bool) -> Any:
    """The phrases, with the classes that they are kept away from where there are any."""
    from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings, join

    phrases = PhraseEmbeddings.load(workspace / PHRASES)
    return join(phrases, PhraseEmbeddings.load(workspace / CLASSES)) if classes else phrases
