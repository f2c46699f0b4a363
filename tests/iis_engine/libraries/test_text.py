"""Text libraries from synthetic embeddings: the selection of phrases, their activations, and refused input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine import protocols
from iis_engine.errors import LibraryError
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.build import build_library
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.text import TextSource
from iis_engine.scoring.ensemble import build_libraries
from iis_engine.scoring.score import fit_predictor, score_features
from iis_engine.specs import LibrarySpec, ProtocolName, ScoreSpec
from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings
from iis_engine.vocabularies.phrases import Phrase

CPU = torch.device("cpu")
ATTRIBUTES = ("red", "round", "striped", "tall", "shiny", "furry")
CLASSES = ("ball", "tie", "tower")
HAS = {"ball": (0, 1, 4), "tie": (0, 2), "tower": (3, 4, 2)}  # what each class mostly shows; fur says nothing about a class
DIRECTIONS = torch.linalg.qr(torch.randn(24, 24, generator=torch.Generator().manual_seed(9))).Q  # one for each word
TEXT = LibrarySpec("text")
MANY = 300
"""Images per class with which no similarity misses the cutoff by chance."""


class World:
    """Images with known attributes, a network that encodes them, and a vision-language model that aligns them with phrases."""

    def __init__(self, per_class: int = 120, seen: tuple[int, ...] = (0, 1, 2, 3, 4, 5), seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.y = torch.arange(3).repeat_interleave(per_class)
        likely = torch.zeros(3, 6)
        for label, name in enumerate(CLASSES):
            likely[label, list(HAS[name])] = 0.9
        likely[likely == 0] = 0.15
        likely[:, 5] = 0.5
        self.truth = (torch.rand(len(self.y), 6, generator=generator) < likely[self.y]).float()
        mixing = torch.randn(6, 32, generator=torch.Generator().manual_seed(5))
        blind = torch.zeros(6)
        blind[list(seen)] = 1
        self.X = torch.relu((self.truth * blind) @ mixing + 0.3 * torch.randn(len(self.y), 32, generator=generator))
        noise = 0.1 * torch.randn(len(self.y), 24, generator=generator)
        self.images = self.truth @ DIRECTIONS[:6] + noise + 0.2

    def features(self) -> FeatureSet:
        return split(self.X, self.y)

    def source(self, phrases: list[tuple[str, Tensor]]) -> TextSource:
        vectors = normalize(torch.stack([vector for _, vector in phrases]), dim=1)
        classes = normalize(torch.stack([DIRECTIONS[list(HAS[name])].sum(dim=0) for name in CLASSES]), dim=1)
        embeddings = PhraseEmbeddings(tuple(Phrase(text, "made up") for text, _ in phrases), vectors, CLASSES, classes)
        return TextSource(embeddings, split(self.images, self.y))


def split(X: Tensor, y: Tensor) -> FeatureSet:
    """Even rows for training, odd rows for testing."""
    return FeatureSet(X[::2], y[::2], X[1::2], y[1::2], CLASSES, train_rows=torch.arange(len(y) // 2))


def words(*extra: tuple[str, Tensor]) -> list[tuple[str, Tensor]]:
    return [*((name, DIRECTIONS[place]) for place, name in enumerate(ATTRIBUTES)), *extra]


def phrases_of(library: ConceptLibrary) -> list[str]:
    assert library.text_report is not None
    return [concept.phrase for concept in library.text_report.concepts]


def reasons_of(library: ConceptLibrary) -> dict[str, str]:
    assert library.text_report is not None
    return {phrase.phrase: phrase.reason for phrase in library.text_report.left_out}


def agreement(a: ConceptLibrary, b: ConceptLibrary, X: Tensor) -> Tensor:
    """Correlation of each concept's activations; directions themselves are not unique where columns of X are collinear."""
    return torch.nn.functional.cosine_similarity(a.activations(X).T, b.activations(X).T, dim=1)


def test_activations_are_higher_where_the_attribute_is_present() -> None:
    world = World()
    library = build_library(world.features(), TEXT, 0, CPU, text_source=world.source(words()))
    assert phrases_of(library) == list(ATTRIBUTES)
    activations, truth = library.activations(world.X[1::2]), world.truth[1::2]
    for place in range(6):
        present = truth[:, place] == 1
        assert activations[present, place].mean() > activations[~present, place].mean() + 1


def test_activations_of_the_training_images_have_mean_zero_and_deviation_one_for_each_concept() -> None:
    world = World()
    library = build_library(world.features(), TEXT, 0, CPU, text_source=world.source(words()))
    activations = library.activations(world.features().X_train).double()
    assert torch.allclose(activations.mean(dim=0), torch.zeros(6).double(), atol=1e-5)
    assert torch.allclose(activations.std(dim=0, correction=0), torch.ones(6).double(), atol=1e-5)


def test_a_phrase_true_of_no_image_is_dropped_with_its_cosines() -> None:
    world = World()
    library = build_library(world.features(), TEXT, 0, CPU, text_source=world.source(words(("purple", -DIRECTIONS[:6].sum(dim=0)))))
    assert reasons_of(library) == {"purple": "clip_cutoff"}
    assert library.text_report is not None
    clip_top5 = library.text_report.left_out[0].details["clip_top5"]
    assert isinstance(clip_top5, float)
    assert clip_top5 < 0.25


def test_a_phrase_that_the_network_does_not_encode_is_dropped_with_its_similarity() -> None:
    world = World(MANY, seen=(0, 1, 2, 3, 4))
    library = build_library(world.features(), TEXT, 0, CPU, text_source=world.source(words()))
    assert library.text_report is not None
    assert reasons_of(library) == {"furry": "interpretability_cutoff"}
    assert set(library.text_report.left_out[0].details) == {"similarity", "chosen_similarity", "clip_top5"}


def test_a_phrase_near_another_phrase_or_a_class_in_wording_or_embedding_is_dropped() -> None:
    world = World()
    near_round = DIRECTIONS[1] + 0.05 * DIRECTIONS[20]
    near_ball = DIRECTIONS[list(HAS["ball"])].sum(dim=0)
    source = world.source(
        words(("The Reds", DIRECTIONS[0]), ("circular", near_round), ("a bouncy thing", near_ball), ("a ball", near_ball))
    )
    library = build_library(world.features(), TEXT, 0, CPU, text_source=source)
    assert reasons_of(library) == {
        "The Reds": "repeated",
        "a ball": "class_name",
        "circular": "near_phrase",
        "a bouncy thing": "near_class",
    }
    assert library.text_report is not None
    others = {phrase.phrase: phrase.details["other"] for phrase in library.text_report.left_out}
    assert others["circular"] == "round"
    assert others["a bouncy thing"] == "ball"


def test_of_more_phrases_than_requested_those_most_similar_on_the_choosing_half_are_kept() -> None:
    world = World(MANY)
    two, four = (build_library(world.features(), LibrarySpec("text", count), 0, CPU, text_source=world.source(words())) for count in (2, 4))
    assert reasons_of(two) == dict.fromkeys(set(ATTRIBUTES) - set(phrases_of(two)), "beyond_count")
    assert two.text_report is not None
    by_similarity = sorted(two.text_report.left_out, key=lambda phrase: -float(phrase.details["chosen_similarity"]))
    assert set(phrases_of(four)) == set(phrases_of(two)) | {phrase.phrase for phrase in by_similarity[:2]}


def test_when_no_phrase_is_left_the_error_names_the_cutoffs_and_the_best_values() -> None:
    world = World()
    with pytest.raises(LibraryError, match=r"6 by clip_cutoff.*clip_cutoff is 0\.99: the best phrase reached 0\.\d+") as refused:
        build_library(world.features(), LibrarySpec("text", clip_cutoff=0.99), 0, CPU, text_source=world.source(words()))
    assert refused.value.code == "library_empty"
    with pytest.raises(LibraryError, match=r"interpretability_cutoff is 0\.999: the best phrase reached 0\.\d+"):
        build_library(world.features(), LibrarySpec("text", interpretability_cutoff=0.999), 0, CPU, text_source=world.source(words()))


def test_the_vectors_of_a_native_library_are_the_text_embeddings() -> None:
    world = World()
    own = split(world.images, world.y)
    library = build_library(own, replace(TEXT, native=True), 0, CPU, text_source=world.source(words()))
    assert torch.allclose(library.vectors, DIRECTIONS[:6], atol=1e-5)
    assert library.text_report is not None
    assert min(concept.similarity for concept in library.text_report.concepts) > 0.75


def test_a_native_library_of_another_network_is_refused() -> None:
    world = World()
    for features in (world.features(), split(world.images + 0.1, world.y)):
        with pytest.raises(LibraryError, match="own image tower"):
            build_library(features, replace(TEXT, native=True), 0, CPU, text_source=world.source(words()))


def test_further_seeds_keep_the_phrases_and_fit_other_images() -> None:
    world = World()
    ensemble = build_libraries(world.features(), ScoreSpec(LibrarySpec("text", 4)), text_source=world.source(words()), device="cpu")
    first, *others = ensemble.libraries
    assert len(others) == protocols.LIBRARY_SEEDS - 1
    for other in others:
        assert phrases_of(other) == phrases_of(first)
        assert not torch.equal(other.vectors, first.vectors)
        assert agreement(other, first, world.X).min() > 0.8


def test_rows_are_matched_by_image_in_any_order_and_with_missing_images() -> None:
    world = World()
    features, source = world.features(), world.source(words())
    expected = build_library(features, TEXT, 0, CPU, text_source=source)
    shuffled = torch.randperm(len(features.y_train), generator=torch.Generator().manual_seed(1))
    embeddings = source.images
    assert embeddings.train_rows is not None
    other_order = replace(
        embeddings,
        X_train=embeddings.X_train[shuffled],
        y_train=embeddings.y_train[shuffled],
        train_rows=embeddings.train_rows[shuffled],
    )
    again = build_library(features, TEXT, 0, CPU, text_source=replace(source, images=other_order))
    assert torch.equal(again.vectors, expected.vectors)
    assert other_order.train_rows is not None
    without_some = replace(
        other_order, X_train=other_order.X_train[:-20], y_train=other_order.y_train[:-20], train_rows=other_order.train_rows[:-20]
    )
    fewer = build_library(features, TEXT, 0, CPU, text_source=replace(source, images=without_some))
    assert agreement(fewer, expected, world.X).min() > 0.8


def test_a_text_library_of_ready_features_is_refused() -> None:
    world = World()
    with pytest.raises(LibraryError, match="needs the images themselves"):
        build_library(replace(world.features(), train_rows=None), TEXT, 0, CPU, text_source=world.source(words()))
    with pytest.raises(LibraryError, match="needs a vision-language model, a vocabulary"):
        build_library(world.features(), TEXT, 0, CPU)


def test_a_library_of_multi_label_data_has_no_zero_shot_accuracy() -> None:
    world = World()
    labels = torch.nn.functional.one_hot(world.y, len(CLASSES)).to(torch.uint8)
    labels[:, 0] = 1 - labels[:, 0] * labels[:, 1]
    source = world.source(words())
    images = replace(source.images, labels_train=labels[::2], labels_test=labels[1::2])
    features = replace(world.features(), labels_train=labels[::2], labels_test=labels[1::2])
    report = build_library(features, TEXT, 0, CPU, text_source=replace(source, images=images)).text_report
    assert report is not None
    assert (report.zero_shot_accuracy, report.chance) == (None, None)
    assert len(report.concepts) == len(ATTRIBUTES)


def test_a_model_with_zero_shot_accuracy_at_chance_gives_a_warning() -> None:
    world = World()
    source = world.source(words())
    blind = replace(source, phrases=replace(source.phrases, class_vectors=normalize(DIRECTIONS[10:13], dim=1)))
    trusted = build_library(world.features(), TEXT, 0, CPU, text_source=source).text_report
    doubted = build_library(world.features(), TEXT, 0, CPU, text_source=blind).text_report
    assert trusted is not None
    assert doubted is not None
    assert len(trusted.warnings) == 1
    assert "36 held-out images" in trusted.warnings[0]
    low, accuracy, high = trusted.zero_shot_low, trusted.zero_shot_accuracy, trusted.zero_shot_high
    assert low is not None
    assert accuracy is not None
    assert high is not None
    assert low < accuracy < high
    assert "no better than chance" in doubted.warnings[1]
    assert doubted.on_other_images().warnings == trusted.warnings  # without the warning about these test images


def test_a_library_read_back_from_its_file_is_the_same(tmp_path: Path) -> None:
    world = World()
    library = build_library(world.features(), LibrarySpec("text", 4), 0, CPU, text_source=world.source(words()))
    library.save(tmp_path / "library.safetensors")
    again = ConceptLibrary.load(tmp_path / "library.safetensors")
    assert again.text_report == library.text_report
    assert torch.equal(again.activations(world.X), library.activations(world.X))


def test_text_concepts_of_a_predictor_are_named_by_their_phrases_and_others_have_no_name() -> None:
    world = World()
    spec = ScoreSpec(LibrarySpec("combined", parts=(LibrarySpec("random", 3), TEXT)))
    predictor = fit_predictor(world.features(), spec, kept=9, text_source=world.source(words()), device="cpu")
    assert predictor.concept_names == (None, None, None, *ATTRIBUTES)


def test_text_concepts_are_standardised_one_by_one_beside_random_directions() -> None:
    world = World()
    spec = LibrarySpec("combined", parts=(LibrarySpec("random", 5), LibrarySpec("text", 4)))
    library = build_library(world.features(), spec, 0, CPU, text_source=world.source(words()))
    alone = build_library(world.features(), LibrarySpec("text", 4), 0, CPU, text_source=world.source(words()))
    activations = library.activations(world.X)
    assert library.origins == ("random",) * 5 + ("text",) * 4
    assert torch.equal(activations[:, 5:], alone.activations(world.X))
    assert torch.allclose(activations[:, :5].mean(dim=1), torch.zeros(len(world.X)), atol=1e-5)


@pytest.mark.parametrize("protocol", ["exact", "reference"])
def test_the_report_lists_the_phrases_kept_and_dropped(protocol: ProtocolName) -> None:
    world = World(MANY, seen=(0, 1, 2, 3, 4))
    spec = ScoreSpec(TEXT, protocol=protocol)
    report = score_features(world.features(), spec, text_source=world.source(words()), device="cpu")
    text = report.library["text"]
    assert report.library["concept_count"] == 5
    assert (text["candidates"], text["kept"], text["dropped"]) == (6, 5, {"interpretability_cutoff": 1})
    assert [concept["phrase"] for concept in text["concepts"]] == list(ATTRIBUTES[:5])
    assert report.iis is not None
    isotropic = report.controls["isotropic"].iis
    assert isotropic is not None
    assert report.iis > isotropic  # five true attributes retain more accuracy than five directions without meaning


@pytest.mark.slow
def test_shuffled_pairs_of_images_and_cosines_score_no_better_than_random_directions() -> None:
    world = World()
    source = world.source(words())
    shuffled = torch.randperm(len(source.images.y_train), generator=torch.Generator().manual_seed(1))
    mixed_up = replace(source, images=replace(source.images, X_train=source.images.X_train[shuffled]))
    with pytest.raises(LibraryError, match="by interpretability_cutoff"):
        build_library(world.features(), TEXT, 0, CPU, text_source=mixed_up)
    everything = LibrarySpec("text", interpretability_cutoff=-1)
    true = score_features(world.features(), ScoreSpec(everything), text_source=source, device="cpu")
    false = score_features(world.features(), ScoreSpec(everything), text_source=mixed_up, device="cpu")
    assert false.iis is not None
    gain = false.controls["isotropic"]
    assert true.iis is not None
    assert gain.gain_low is not None
    assert gain.gain_low <= 0
    assert true.iis > false.iis
