"""Text concepts and names on images with known attributes, read by two real networks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from demo import language_model as demo_language
from iis_engine.backbones.factory import load_backbone
from iis_engine.data.datasets import read_image_folder
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.features.extraction import extract_features
from iis_engine.features.feature_set import ElementRef, FeatureSet
from iis_engine.libraries.naming import embed_exemplars, name_concepts
from iis_engine.libraries.text import TextSource
from iis_engine.scoring.ensemble import build_libraries
from iis_engine.scoring.score import score
from iis_engine.specs import BackboneSpec, LibrarySpec, Preprocessing, ScoreSpec, VisionLanguageSpec
from iis_engine.vision_language.model import VisionLanguageModel, load_vision_language_model
from iis_engine.vision_language.phrase_embeddings import embed_classes, embed_phrases, join
from iis_engine.vocabularies.phrases import Phrase
from support.planted import ARCHITECTURE, ARGUMENTS, DECOYS, PHRASES, PREPROCESSING, Planted

TEXT = ScoreSpec(LibrarySpec("text"))
VOCABULARY = tuple(Phrase(text) for text in (*PHRASES, *DECOYS))
OWN = BackboneSpec(demo_language.ARCHITECTURE, demo_language.ARGUMENTS)


@dataclass(frozen=True)
class Seen:
    """The planted images and their features by both networks."""

    planted: Planted
    images: ImageDataset
    vlm: VisionLanguageModel
    features: FeatureSet
    source: TextSource

    def true_of(self, row: int, split: str = "test") -> set[str]:
        """The phrases that are true of an image."""
        return self.planted.true_of(getattr(self.images, split)[row].path)


@pytest.fixture(scope="module")
def seen(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("seen")
    images = read_image_folder(planted.images)
    spec = BackboneSpec(ARCHITECTURE, ARGUMENTS, preprocessing=Preprocessing(**PREPROCESSING))
    features = extract_features(load_backbone(spec, planted.backbone, device="cpu"), images, None, shard_folder=folder / "features")
    vlm = load_vision_language_model(VisionLanguageSpec(OWN.architecture, OWN.arguments), planted.language, device="cpu")
    embeddings = extract_features(vlm.images, images, None, shard_folder=folder / "embeddings")
    words = join(embed_phrases(vlm, VOCABULARY), embed_classes(vlm, features.class_names))
    return Seen(planted, images, vlm, features, TextSource(words, embeddings))


def test_phrases_that_are_true_of_an_image_are_among_its_top_active_concepts(seen: Seen) -> None:
    library = build_libraries(seen.features, TEXT, text_source=seen.source, device="cpu").primary
    assert library.text_report is not None
    phrases = [concept.phrase for concept in library.text_report.concepts]
    top = library.activations(seen.features.X_test).topk(3, dim=1).indices.tolist()
    right = [sum(phrases[concept] in seen.true_of(row) for concept in concepts) / 3 for row, concepts in enumerate(top)]
    precision = sum(right) / len(right)
    print(f"precision at 3: {precision:.3f}; by chance {4 / len(phrases):.3f}")
    assert precision > 0.75


def test_activations_rise_with_the_presence_of_every_phrase(seen: Seen) -> None:
    library = build_libraries(seen.features, TEXT, text_source=seen.source, device="cpu").primary
    assert library.text_report is not None
    activations = library.activations(seen.features.X_test)
    kept = [concept.phrase for concept in library.text_report.concepts]
    assert set(PHRASES) & set(kept)
    for place, phrase in enumerate(kept):
        if phrase in PHRASES:
            present = torch.tensor([phrase in seen.true_of(row) for row in range(len(seen.features.y_test))])
            assert activations[present, place].mean() > activations[~present, place].mean() + 0.5, phrase


def test_phrases_true_of_no_image_are_dropped_and_most_true_ones_are_kept(seen: Seen) -> None:
    words = build_libraries(seen.features, TEXT, text_source=seen.source, device="cpu").primary.text_report
    assert words is not None
    kept = {concept.phrase for concept in words.concepts}
    assert not kept & set(DECOYS)
    assert len(kept) >= 14  # of the 16
    assert {phrase.reason for phrase in words.left_out if phrase.phrase in DECOYS} <= {"clip_cutoff", "near_phrase"}


def test_the_models_own_image_tower_has_a_native_library(seen: Seen) -> None:
    backbone = load_backbone(OWN, seen.planted.language, device="cpu")
    assert backbone.digest == seen.vlm.images.digest  # so its features are the image embeddings
    library = build_libraries(
        seen.source.images, ScoreSpec(LibrarySpec("text", native=True)), text_source=seen.source, device="cpu"
    ).primary
    assert library.text_report is not None
    embedded = seen.vlm.embed_text([concept.phrase for concept in library.text_report.concepts])
    assert torch.allclose(library.vectors, embedded, atol=1e-5)
    assert min(concept.similarity for concept in library.text_report.concepts) > 0.45


def test_concepts_are_named_by_the_phrase_that_most_of_their_crops_show(seen: Seen) -> None:
    whole = [ElementRef(row, (0, 0, 32, 32), "patch") for row in range(len(seen.features.y_train))]  # the attributes are of whole images
    features = replace(seen.features, elements=seen.features.X_train, element_refs=tuple(whole))
    library = build_libraries(features, ScoreSpec(LibrarySpec("cluster", 40)), device="cpu").primary
    names = name_concepts(library, embed_exemplars(seen.vlm.images, seen.images, features, library), seen.source.phrases)
    right, named = 0, 0
    for name, exemplars in zip(names, library.exemplars, strict=True):
        assert name is not None
        if name.named:
            shows = [name.label in seen.true_of(features.element_refs[element].image, "train") for element, _ in exemplars]
            named += 1
            right += sum(shows) > len(shows) / 2
    print(f"{named} of {len(names)} named, {right} of them by what most crops show")
    assert named >= 5
    assert right / named > 0.8


@pytest.mark.slow
def test_one_call_scores_a_backbone_with_text_concepts(seen: Seen) -> None:
    spec = BackboneSpec(ARCHITECTURE, ARGUMENTS, preprocessing=Preprocessing(**PREPROCESSING))
    backbone = load_backbone(spec, seen.planted.backbone, device="cpu")
    report = score(backbone, TEXT, dataset=seen.images, vlm=seen.vlm, vocabulary=VOCABULARY, device="cpu")
    assert report.iis is not None
    assert report.iis > 0.5
    assert report.library["text"]["kept"] == report.library["concept_count"] >= 14
    assert report.library["text"]["zero_shot_accuracy"] > 0.5
    assert report.warnings == ()
