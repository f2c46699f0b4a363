"""Text: phrases as concepts. A vision-language model says how much of each phrase an image shows; directions of f are fitted to that.

METHOD section 2, the paper's eq. 2. How a direction is fitted is in `imitation`; the embeddings come from outside.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from scipy.stats import binomtest
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine import protocols
from iis_engine.errors import LibraryError
from iis_engine.features.canonical_order import canonical_order, validation_rows
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.fitting import Imitation, cos_cubed, imitate
from iis_engine.libraries.library import ConceptLibrary, nearest_elements, training_moments
from iis_engine.libraries.near_duplicates import drop_near
from iis_engine.libraries.phrase_report import DroppedPhrase, TextConcept, TextFindings
from iis_engine.libraries.unit_elements import unit_elements
from iis_engine.specs import LibrarySpec
from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings
from iis_engine.vocabularies.cleaning import clean_indices

TOP_IMAGES = 5
ENTRIES_AT_ONCE = 2**24
"""Images x phrases that are worked on together."""
HELD_OUT_LEAST = 5
NATIVE_TOLERANCE = 1e-3  # relative; the same network run twice, perhaps in half precision


@dataclass(frozen=True)
class TextSource:
    """What a text library is made of, all from one vision-language model.

    Attributes
    ----------
    phrases : text embeddings of the vocabulary and of the class names
    images : image embeddings of the data set that is scored, as `extract_features` gives them for the model's image tower
    """

    phrases: PhraseEmbeddings
    images: FeatureSet


@dataclass(frozen=True)
class _Evidence:
    """The training rows that both networks have read, in an order that depends on their content alone."""

    X: Tensor  # (n, d) float32
    y: Tensor  # (n,)
    images: Tensor  # (n, e) float32, unit rows

    def held_out(self, seed: int) -> Tensor:
        """(n,) bool, the rows that choose and judge the directions."""
        return validation_rows(self.y, protocols.TEXT_HELD_OUT_SHARE, seed)


def build_text(features: FeatureSet, source: TextSource, spec: LibrarySpec, seed: int, device: torch.device) -> ConceptLibrary:
    """Choose the phrases that make concepts, and fit their directions; `seed` decides which images are held out.

    Raises
    ------
    LibraryError
        When no two phrases are left (the sentence names the cutoffs and the best values reached), there are too few images to judge
        them on, or `native` is asked for a backbone that is not the vision-language model's image tower.
    """
    evidence = _evidence(features, source)
    held_out_count = int(evidence.held_out(seed).sum())
    if held_out_count < HELD_OUT_LEAST:
        raise LibraryError(
            f"Text concepts are judged on training images that are held out, and {held_out_count} of {len(evidence.y)} are too few; "
            f"send at least {HELD_OUT_LEAST}, about {round(HELD_OUT_LEAST / protocols.TEXT_HELD_OUT_SHARE)} training images in all.",
            code="too_few_images",
            param="dataset",
        )
    if spec.native:
        _require_native(evidence, source)
    places, left_out = _worth_fitting(source.phrases)
    top5 = _top5(evidence, source.phrases.vectors[places])
    reached = top5 >= spec.clip_cutoff
    for place, value in zip(places, top5.tolist(), strict=True):
        if value < spec.clip_cutoff:
            left_out.append(DroppedPhrase(source.phrases.phrases[place].text, "clip_cutoff", {"clip_top5": round(value, 4)}))
    best_top5 = float(top5.max()) if len(top5) else None
    places, top5 = [place for place, stays in zip(places, reached.tolist(), strict=True) if stays], top5[reached]
    if not places:
        raise _nothing_left(spec, left_out, best_top5, None)
    fitted = _fit(evidence, source.phrases.vectors[places], spec, seed, device)
    order = sorted(range(len(places)), key=lambda i: (-float(fitted.similarity[i]), i))
    passing = [i for i in order if float(fitted.similarity[i]) >= spec.interpretability_cutoff]
    chosen = sorted(passing[: spec.concept_count])
    for number, i in enumerate(order):
        if number >= min(len(passing), spec.concept_count):
            reason = "interpretability_cutoff" if number >= len(passing) else "beyond_count"
            figures: dict[str, float | str] = {"similarity": round(float(fitted.similarity[i]), 4), "clip_top5": round(float(top5[i]), 4)}
            left_out.append(DroppedPhrase(source.phrases.phrases[places[i]].text, reason, figures))
    if len(chosen) < 2:
        raise _nothing_left(spec, left_out, best_top5, float(fitted.similarity.max()))
    concepts = tuple(
        TextConcept(phrase.text, phrase.group, round(float(fitted.similarity[i]), 4), round(float(top5[i]), 4))
        for i in chosen
        for phrase in [source.phrases.phrases[places[i]]]
    )
    findings = _findings(concepts, left_out, source, spec, held_out_count)
    return _library(features, fitted.vectors[chosen], findings)


def refit_text(
    features: FeatureSet, source: TextSource, words: TextFindings, spec: LibrarySpec, seed: int, device: torch.device
) -> ConceptLibrary:
    """The concepts in `words` fitted again with other images held out: the same M phrases, another draw."""
    place_of = {phrase.text: place for place, phrase in reversed(list(enumerate(source.phrases.phrases)))}
    places = [place_of[concept.phrase] for concept in words.concepts]
    fitted = _fit(_evidence(features, source), source.phrases.vectors[places], spec, seed, device)
    return _library(features, fitted.vectors, words)


def _evidence(features: FeatureSet, source: TextSource) -> _Evidence:
    rows, image_rows = features.train_rows, source.images.train_rows
    if rows is None or image_rows is None:
        raise LibraryError("A text library needs the images themselves; ready features do not have them.", param="library.kind")
    row_of = {int(row): place for place, row in enumerate(image_rows.tolist())}
    pairs = [(place, row_of[row]) for place, row in enumerate(rows.tolist()) if row in row_of]
    own, others = torch.tensor([own for own, _ in pairs]), torch.tensor([other for _, other in pairs])
    X, y = features.X_train[own], features.y_train[own]
    order = canonical_order(torch.cat([y.unsqueeze(1).float(), X], dim=1))
    return _Evidence(X[order], y[order], normalize(source.images.X_train[others], dim=1)[order])


def _worth_fitting(embeddings: PhraseEmbeddings) -> tuple[list[int], list[DroppedPhrase]]:
    """Places of the phrases that wording and meaning leave, and what they leave out."""
    places, dropped = clean_indices(embeddings.phrases, embeddings.class_names)
    left_out = [DroppedPhrase(one.text, one.reason, {} if one.other is None else {"other": one.other}) for one in dropped]
    near_kept, near = drop_near(embeddings.select(places))
    return [places[i] for i in near_kept], left_out + near


def _top5(evidence: _Evidence, vectors: Tensor) -> Tensor:
    """Mean of the five highest cosines of each phrase (P, e) with the training images: (P,) float64."""
    best = torch.empty(0, len(vectors))
    for rows in evidence.images.split(max(TOP_IMAGES, ENTRIES_AT_ONCE // max(1, len(vectors)))):
        together = torch.cat([best, rows @ vectors.T])
        best = together.topk(min(TOP_IMAGES, len(together)), dim=0).values
    return best.double().mean(dim=0)


def _fit(evidence: _Evidence, vectors: Tensor, spec: LibrarySpec, seed: int, device: torch.device) -> Imitation:
    """Directions (M, d) for text embeddings (M, e); a native library's are the embeddings themselves, judged on the same images."""
    held_out = evidence.held_out(seed)
    if not spec.native:
        found = imitate(*(part.to(device) for part in (evidence.X, evidence.images, vectors, held_out)))
        return Imitation(found.vectors.cpu(), found.similarity.cpu())
    X, images = evidence.X[held_out].double(), evidence.images[held_out].double()
    blocks = vectors.double().split(max(1, ENTRIES_AT_ONCE // len(X)))
    return Imitation(vectors.double(), torch.cat([cos_cubed(X @ block.T, images @ block.T) for block in blocks]))


def _library(features: FeatureSet, directions: Tensor, findings: TextFindings) -> ConceptLibrary:
    """Unit vectors, and the training mean and deviation of each activation."""
    vectors = normalize(directions.double(), dim=1).float()
    means, deviations = training_moments(features.X_train, vectors)
    units, numbers = unit_elements(features)
    exemplars = nearest_elements(vectors, units, numbers) if len(units) else ((),) * len(vectors)
    return ConceptLibrary("text", vectors, ("text",) * len(vectors), exemplars, means, deviations, findings)


def _findings(
    concepts: tuple[TextConcept, ...], left_out: list[DroppedPhrase], source: TextSource, spec: LibrarySpec, held_out_count: int
) -> TextFindings:
    y = source.images.y_test
    named = (normalize(source.images.X_test, dim=1) @ source.phrases.class_vectors.T).argmax(dim=1)
    right = int((named == y).sum())
    interval = binomtest(right, len(y)).proportion_ci(protocols.CONFIDENCE, method="wilson")
    return TextFindings(
        concepts,
        tuple(left_out),
        spec.clip_cutoff,
        spec.interpretability_cutoff,
        spec.native,
        held_out_count,
        zero_shot_accuracy=right / len(y),
        zero_shot_low=float(interval.low),
        zero_shot_high=float(interval.high),
        chance=float(torch.bincount(y).max()) / len(y),
    )


def _require_native(evidence: _Evidence, source: TextSource) -> None:
    same = evidence.X.shape[1] == evidence.images.shape[1]
    if not same or float((normalize(evidence.X, dim=1) - evidence.images).norm(dim=1).max()) > NATIVE_TOLERANCE:
        raise LibraryError(
            "A native text library needs the scored model to be the vision-language model's own image tower: register the same "
            "architecture and checkpoint as the model, without a layer, or leave native out to have the directions fitted.",
            code="library_not_native",
            param="library.native",
        )


def _nothing_left(spec: LibrarySpec, left_out: list[DroppedPhrase], best_top5: float | None, best_similarity: float | None) -> LibraryError:
    counts = Counter(phrase.reason for phrase in left_out)
    reasons = ", ".join(f"{count} by {reason}" for reason, count in counts.items())
    top5 = "none was left to try" if best_top5 is None else f"the best phrase reached {best_top5:.3f}"
    similarity = "none was left to fit" if best_similarity is None else f"the best phrase reached {best_similarity:.3f}"
    lowered = counts["clip_cutoff"] + counts["interpretability_cutoff"] > 0
    return LibraryError(
        f"A text library needs two concepts, and too few phrases are left ({reasons or 'none was left out'}). "
        f"clip_cutoff is {spec.clip_cutoff:g}: {top5}; interpretability_cutoff is {spec.interpretability_cutoff:g}: {similarity}. "
        + ("Lower the cutoff, or send" if lowered else "Send more")
        + " phrases that say what the images show.",
        code="library_empty",
        param="library",
    )
