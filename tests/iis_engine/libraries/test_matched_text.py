"""Matched control of text concepts: targets with the phrases' mean and covariance, through the fit and the filters of the phrases."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.errors import LibraryError
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries import matched_text
from iis_engine.libraries.build import build_library
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.matched_text import FITS_PER_CONCEPT, build_matched_text, draw_targets
from iis_engine.libraries.text import TextSource, usable_vectors
from iis_engine.libraries.text_evidence import Evidence, Fitted
from iis_engine.specs import LibrarySpec
from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings
from iis_engine.vocabularies.phrases import Phrase

CPU = torch.device("cpu")
WIDTH, SEEN, IMAGES = 24, 12, 400
SPEC = LibrarySpec("text", concept_count=10, clip_cutoff=0.5)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def feature_set(X: Tensor) -> FeatureSet:
    y = torch.arange(len(X)) % 2
    return FeatureSet(X[:IMAGES], y[:IMAGES], X[IMAGES:], y[IMAGES:], ("a", "b"), train_rows=torch.arange(IMAGES))


def world(width: int = 40) -> tuple[FeatureSet, TextSource]:
    """A network that encodes the first `SEEN` of `WIDTH` directions of the image embeddings, and 80 phrases with all of them."""
    images = normal(2 * IMAGES, WIDTH)
    X = images[:, :SEEN] @ normal(SEEN, width, seed=1)
    vectors = normalize(normal(80, WIDTH, seed=2) * torch.linspace(1.5, 0.3, WIDTH) + 0.3, dim=1)
    phrases = tuple(Phrase(f"q{chr(97 + i // 26)}{chr(97 + i % 26)}q", None) for i in range(80))
    classes = normalize(normal(2, WIDTH, seed=3), dim=1)
    return feature_set(X), TextSource(PhraseEmbeddings(phrases, vectors, ("a", "b"), classes), feature_set(images))


def built(spec: LibrarySpec = SPEC) -> tuple[FeatureSet, TextSource, ConceptLibrary]:
    features, source = world()
    return features, source, build_library(features, spec, 0, CPU, text_source=source)


def test_targets_have_the_mean_and_covariance_of_the_phrases() -> None:
    vectors = world()[1].phrases.vectors
    drawn = draw_targets(vectors, 200_000, torch.Generator().manual_seed(0))
    assert torch.allclose(drawn.mean(dim=0), vectors.mean(dim=0), atol=3e-3)
    assert torch.allclose(drawn.T.cov(), vectors.T.cov(), atol=2e-3)


def test_the_control_has_as_many_concepts_standardised_as_text_concepts_are() -> None:
    features, source, library = built()
    control = build_matched_text(features, source, library, SPEC, 3, CPU)
    assert (control.kind, control.origins, len(control)) == ("matched", library.origins, len(library))
    activations = control.activations(features.X_train).double()
    assert torch.allclose(activations.mean(dim=0), torch.zeros(len(control)).double(), atol=1e-5)
    assert torch.allclose(activations.std(dim=0, correction=0), torch.ones(len(control)).double(), atol=1e-5)


def test_the_control_depends_on_its_seed_alone_and_not_on_the_order_of_the_rows() -> None:
    features, source, library = built()
    first, again, other = (build_matched_text(features, source, library, SPEC, seed, CPU) for seed in (3, 3, 4))
    assert torch.equal(first.vectors, again.vectors)
    assert not torch.allclose(first.vectors, other.vectors, atol=1e-2)
    order = torch.randperm(IMAGES, generator=torch.Generator().manual_seed(1))
    shuffled = replace(features, X_train=features.X_train[order], y_train=features.y_train[order], train_rows=order)
    assert torch.equal(build_matched_text(shuffled, source, library, SPEC, 3, CPU).vectors, first.vectors)


def test_random_targets_within_what_the_network_encodes_are_fitted_as_well_as_phrases() -> None:
    """The activations are then linear in the image embeddings: the control fits what a random text would name."""
    features, source, library = built()
    control = build_matched_text(features, source, library, SPEC, 3, CPU)
    embeddings = normalize(source.images.X_test, dim=1)
    targets = torch.linalg.lstsq(embeddings, control.activations(features.X_test)).solution
    explained = embeddings @ targets
    assert float(torch.nn.functional.cosine_similarity(explained.T, control.activations(features.X_test).T).min()) > 0.9
    assert float(normalize(targets, dim=0)[:SEEN].norm(dim=0).min()) > 0.9


def test_the_screening_bounds_the_fits_and_keeps_the_targets_that_the_network_represents_best(monkeypatch: pytest.MonkeyPatch) -> None:
    features, source, library = built()
    report = library.text_report
    assert report is not None
    assert len(usable_vectors(source.phrases, report)) == report.usable_count
    assert report.usable_count > report.fitted_count > report.chosen_count > report.confirmed_count >= len(report.concepts) == 10
    fits: list[Fitted] = []
    fit = Evidence.fit

    def recorded(evidence: Evidence, vectors: Tensor, seed: int, device: torch.device) -> Fitted:
        fits.append(fit(evidence, vectors, seed, device))
        return fits[-1]

    monkeypatch.setattr(Evidence, "fit", recorded)
    build_matched_text(features, source, library, SPEC, 3, CPU)
    monkeypatch.setattr(matched_text, "FITS_PER_CONCEPT", 1000)
    build_matched_text(features, source, library, SPEC, 3, CPU)
    screened, all_of_them = (fitted.chosen.sort(descending=True).values for fitted in fits)
    assert (len(screened), len(all_of_them)) == (FITS_PER_CONCEPT * 10, report.fitted_count)
    assert screened.mean() > all_of_them.mean() + 0.05
    assert torch.allclose(screened[:10].mean(), all_of_them[:10].mean(), atol=0.01)


def test_concepts_of_a_native_control_are_the_targets_themselves() -> None:
    images = normalize(normal(2 * IMAGES, WIDTH), dim=1)
    _, source = world()
    source = replace(source, images=feature_set(images))
    native = replace(SPEC, native=True)
    features = feature_set(images)
    library = build_library(features, native, 0, CPU, text_source=source)
    assert library.text_report is not None
    control = build_matched_text(features, source, library, native, 3, CPU)
    count = library.text_report.usable_count
    drawn = normalize(draw_targets(usable_vectors(source.phrases, library.text_report), count, torch.Generator().manual_seed(3)), dim=1)
    assert float((control.vectors @ drawn.T).max(dim=1).values.min()) == pytest.approx(1, abs=1e-5)


def test_a_library_without_text_concepts_has_no_such_control() -> None:
    features, source, _ = built()
    random = build_library(features, LibrarySpec("random", 10), 0, CPU)
    with pytest.raises(LibraryError, match="needs a library that has some"):
        build_matched_text(features, source, random, SPEC, 0, CPU)
