"""Stages on phrases and with a vision-language model: embeddings, cleaning of vocabularies, names of visual concepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from worker.sandbox.messages import JsonObject
from worker.stages.datasets import open_images
from worker.stages.extraction import ShardReporter, plan_extraction
from worker.stages.files import CLASSES, EMBEDDINGS, FEATURES, LIBRARY, NAMES, PHRASES, VOCABULARY
from worker.stages.latest import forget, opened
from worker.stages.reporter import Reporter
from worker.stages.specs import DatasetRequest, ModelRequest, open_vision_language_model

if TYPE_CHECKING:
    from iis_engine.features.extraction import Extraction
    from iis_engine.libraries.text import TextSource
    from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings
    from iis_engine.vocabularies.phrases import Phrase


def embed_images(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: image embeddings of both splits -> embeddings.safetensors, used with every backbone and vocabulary."""
    extraction, shards = open_embedding(workspace, arguments), ShardReporter(workspace / arguments["shard_folder"], reporter)
    forget()
    extraction.compute(progress=shards.progress)
    extraction.assemble().save(workspace / EMBEDDINGS)
    return {}


def open_embedding(workspace: Path, arguments: JsonObject) -> Extraction:
    """Load the image tower and plan the shards of the images in the workspace."""

    def load() -> Extraction:
        image_encoder = open_vision_language_model(ModelRequest.from_json(arguments["sources"]["vlm"])).images
        return plan_extraction(image_encoder, workspace, arguments, None)

    return opened("embed_images", workspace, arguments, load)


def embed_phrases(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: text embeddings of a vocabulary -> phrases.safetensors, used with every data set."""
    from iis_engine.vision_language.phrase_embeddings import embed_phrases

    model = open_vision_language_model(ModelRequest.from_json(arguments["sources"]["vlm"]))
    embed_phrases(model, _vocabulary(workspace), reporter.progress).save(workspace / PHRASES)
    return {}


def embed_classes(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: text embeddings of class names -> classes.safetensors, used with every vocabulary."""
    from iis_engine.vision_language.phrase_embeddings import embed_classes

    model = open_vision_language_model(ModelRequest.from_json(arguments["sources"]["vlm"]))
    embed_classes(model, arguments["class_names"], reporter.progress).save(workspace / CLASSES)
    return {}


def gather_phrases(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: attributes of `classes` as phrases: {phrases: [[text, group], …], dropped: [{text, reason, other, similarity}, …]}.

    Phrases that contain one of `classes` or `class_names` are dropped.
    """
    from iis_engine.vocabularies.class_attributes import phrases_from_classes
    from iis_engine.vocabularies.cleaning import clean

    phrases, dropped_by_classes = phrases_from_classes(arguments["classes"])
    kept, dropped_by_names = clean(phrases, arguments["class_names"])
    left_out = (*dropped_by_classes, *dropped_by_names)
    dropped = [{"text": one.text, "reason": one.reason, "other": one.other, "similarity": None} for one in left_out]
    return {"phrases": [[phrase.text, phrase.group] for phrase in kept], "dropped": dropped}


def clean_phrases(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: drop phrases near another phrase or a class: {kept: [index, …], dropped: [{text, reason, other, similarity}, …]}."""
    from iis_engine.libraries.near_duplicates import drop_near

    kept, left_out = drop_near(_text_embeddings(workspace, classes=arguments["classes"]))
    dropped = [
        {"text": one.phrase, "reason": one.reason, "other": one.details["other"], "similarity": one.details["cosine"]} for one in left_out
    ]
    return {"kept": kept, "dropped": dropped}


def name(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: nearest phrases of each visual concept -> names.json."""
    from iis_engine.features.feature_set import FeatureSet
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.libraries.naming import embed_exemplars, name_concepts, save_names
    from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings

    features, library = FeatureSet.load(workspace / FEATURES), ConceptLibrary.load(workspace / LIBRARY)
    image_encoder = open_vision_language_model(ModelRequest.from_json(arguments["sources"]["vlm"])).images
    images = open_images(workspace, DatasetRequest.from_json(arguments["sources"]["dataset"]))
    crops = embed_exemplars(image_encoder, images, features, library, reporter.progress)
    save_names(name_concepts(library, crops, PhraseEmbeddings.load(workspace / PHRASES)), workspace / NAMES)
    return {}


def text_source(workspace: Path) -> TextSource:
    """Embeddings in the workspace, from which a text library is built."""
    from iis_engine.features.feature_set import FeatureSet
    from iis_engine.libraries.text import TextSource

    return TextSource(_text_embeddings(workspace, classes=True), FeatureSet.load(workspace / EMBEDDINGS))


def _vocabulary(workspace: Path) -> list[Phrase]:
    from iis_engine.vocabularies.phrases import Phrase

    return [Phrase(text, group) for text, group in json.loads((workspace / VOCABULARY).read_text())]


def _text_embeddings(workspace: Path, *, classes: bool) -> PhraseEmbeddings:
    """Embeddings of the phrases, with those of the class names if `classes`."""
    from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings, join

    phrases = PhraseEmbeddings.load(workspace / PHRASES)
    return join(phrases, PhraseEmbeddings.load(workspace / CLASSES)) if classes else phrases
