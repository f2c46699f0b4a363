"""Rows that fit, choose and judge text concepts: disjoint, alike for every library seed, and honest about unseen images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine import protocols
from iis_engine.errors import LibraryError
from iis_engine.features.canonical_order import in_canonical_order, validation_rows
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.build import build_library
from iis_engine.libraries.fitting import cos_cubed
from iis_engine.libraries.phrase_report import TextReport
from iis_engine.libraries.text import TextSource, refit_text
from iis_engine.libraries.text_evidence import read_evidence
from iis_engine.specs import LibrarySpec
from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings
from iis_engine.vocabularies.phrases import Phrase

CPU = torch.device("cpu")
CUTOFF = 0.45
WIDTH = 48


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def feature_set(X: Tensor) -> FeatureSet:
    y = torch.arange(len(X)) % 2
    return FeatureSet(X, y, X[:10], y[:10], ("a", "b"), train_rows=torch.arange(len(X)))


def source(images: Tensor, vectors: Tensor) -> TextSource:
    """Phrases of three letters, which no filter on wording drops."""
    words = [chr(97 + i // 676) + chr(97 + i // 26 % 26) + chr(97 + i % 26) for i in range(len(vectors))]
    phrases = tuple(Phrase(f"q{word}q", None) for word in words)
    return TextSource(
        PhraseEmbeddings(phrases, normalize(vectors, dim=1), ("a", "b"), normalize(normal(2, WIDTH, seed=9), dim=1)), feature_set(images)
    )


def report_of(X: Tensor, text_source: TextSource, cutoff: float = CUTOFF) -> TextReport:
    spec = LibrarySpec("text", 1000, clip_cutoff=-1, interpretability_cutoff=cutoff)
    report = build_library(feature_set(X), spec, 0, CPU, text_source=text_source).text_report
    assert report is not None
    return report


def test_rows_that_select_strengths_fit_choose_and_judge_are_disjoint_and_alike_for_shuffled_rows() -> None:
    X, images = normal(300, 8), normal(300, WIDTH, seed=1)
    features = feature_set(X)
    evidence = read_evidence(features, feature_set(images), 7)
    strength_rows = validation_rows(in_canonical_order(features).y_train, protocols.VALIDATION_SHARE, 7)
    together = strength_rows.int() + evidence.choosing.int() + evidence.judging.int() + evidence.fitting.int()
    assert together.tolist() == [1] * 300
    assert (evidence.choosing_count, evidence.judging_count, int(evidence.fitting.sum())) == (30, 30, 210)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(3))
    shuffled = FeatureSet(X[order], features.y_train[order], X[:1], features.y_train[:1], ("a", "b"), train_rows=order)
    again = read_evidence(shuffled, feature_set(images), 7)
    assert torch.equal(again.X, evidence.X)
    assert torch.equal(again.images, evidence.images)
    assert torch.equal(again.judging, evidence.judging)


def test_unrelated_phrases_that_pass_on_the_choosing_half_fail_on_the_judging_half() -> None:
    X, unrelated = normal(260, 32), source(normal(260, WIDTH, seed=1), normal(400, WIDTH, seed=2))
    report = report_of(X, unrelated, cutoff=-1)
    assert len(report.concepts) == 400
    with pytest.raises(LibraryError, match="by not_confirmed") as caught:
        report_of(X, unrelated)
    assert int(str(caught.value).split(" by not_confirmed")[0].split()[-1]) >= 10  # by chance, among 400, on 26 images


def test_the_reported_similarity_is_that_of_the_judging_half() -> None:
    X, images, vectors = normal(400, WIDTH), normal(400, WIDTH), normal(6, WIDTH, seed=2)  # the network sees what the phrases name
    text_source = source(images, vectors)
    library = build_library(feature_set(X), LibrarySpec("text", clip_cutoff=-1), 0, CPU, text_source=text_source)
    evidence = read_evidence(feature_set(X), feature_set(images), 0)
    rows = evidence.judging
    q, p = evidence.X[rows].double() @ library.vectors.double().T, (evidence.images[rows] @ text_source.phrases.vectors.T).double()
    assert library.text_report is not None
    reported = torch.tensor([concept.similarity for concept in library.text_report.concepts]).double()
    assert torch.allclose(cos_cubed(q, p), reported, atol=1e-3)
    assert library.text_report.judging_count == int(rows.sum()) == 40


def test_seeds_of_a_library_share_choosing_and_judging_images_and_differ_in_the_fitted_ones() -> None:
    X, images = normal(400, WIDTH), normal(400, WIDTH)
    features, text_source = feature_set(X), source(images, normal(6, WIDTH, seed=2))
    spec = LibrarySpec("text", clip_cutoff=-1)
    first = build_library(features, spec, 5, CPU, text_source=text_source)
    assert first.text_report is not None
    assert first.text_report.split_seed == 5
    second = refit_text(features, text_source, first.text_report, spec, 6, CPU)
    assert second.text_report == first.text_report
    assert not torch.equal(second.vectors, first.vectors)
    assert torch.equal(refit_text(features, text_source, first.text_report, spec, 5, CPU).vectors, first.vectors)


def test_similarity_on_the_judging_half_holds_on_unseen_images() -> None:
    """Phrases that the network represents more or less well; the similarity of each is measured on 4,000 images that it has not seen."""
    factors = normal(5000, WIDTH) / torch.arange(1, WIDTH + 1).sqrt()
    X = torch.relu(factors[:, ::2] @ normal(WIDTH // 2, 96, seed=1) + 0.5 * normal(5000, 96, seed=2))
    images = factors + 0.1 * normal(5000, WIDTH, seed=3)
    vectors = normal(200, WIDTH, seed=4) * 0.15
    vectors[torch.arange(200), torch.randint(0, 16, (200,), generator=torch.Generator().manual_seed(5))] += 1
    vectors = normalize(vectors, dim=1)
    excess: list[tuple[float, float]] = []
    missed: list[tuple[float, float]] = []
    for split_seed in range(4):
        evidence = read_evidence(feature_set(X[:1000]), feature_set(images[:1000]), split_seed)
        fitted = evidence.fit(vectors, 0, CPU)
        q, p = X[1000:].double() @ fitted.vectors.T, normalize(images[1000:], dim=1).double() @ vectors.double().T
        unseen = cos_cubed(q, p)
        # A cosine of few rows has a bias of its own, so sets of unseen images as large as the judging half are the comparison.
        expected = torch.stack([cos_cubed(*parts) for parts in zip(q.split(100), p.split(100), strict=True)]).mean(dim=0)
        chosen = fitted.chosen >= CUTOFF
        kept = chosen & (fitted.judged >= CUTOFF)
        excess.append((float((fitted.chosen - expected).mean()), float((fitted.judged - expected).mean())))
        missed.append((float((unseen[chosen] < CUTOFF).double().mean()), float((unseen[kept] < CUTOFF).double().mean())))
    (of_choosing, of_judging), (missed_if_chosen, missed_if_kept) = torch.tensor([excess, missed]).mean(dim=1).tolist()
    assert of_choosing > 0.05
    assert abs(of_judging) < 0.02
    assert missed_if_kept < missed_if_chosen / 1.5
