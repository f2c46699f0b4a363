"""Text library: phrases as concepts, their directions fitted to the cosines of a vision-language model (METHOD §2, eq. 2).

The fit of one direction is in `fitting`; embeddings of phrases and images are inputs.
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
from iis_engine.libraries.phrase_report import DroppedPhrase, TextConcept, TextReport
from iis_engine.libraries.unit_elements import unit_elements
from iis_engine.specs import LibrarySpec
from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings
from iis_engine.vocabularies.cleaning import clean_indices

TOP_IMAGES = 5
ENTRIES_AT_ONCE = 2**24
"""Images x phrases in memory at once."""
HELD_OUT_LEAST = 5
NATIVE_TOLERANCE = 1e-3  # relative; the same network run twice, perhaps in half precision


@dataclass(frozen=True)
class TextSource:
    """Embeddings for a text library, all from one vision-language model.

    Attributes
    ----------
    phrases : text embeddings of the vocabulary and of the class names
    images : image embeddings of the data set that is scored, as `extract_features` gives them for the model's image tower
    """

    phrases: PhraseEmbeddings
    images: FeatureSet


@dataclass(frozen=True)
class _Evidence:
    """Training rows that both networks have read, in canonical order.

    Attributes
    ----------
    X : (n, d) float32
    y : (n,)
    images : (n, e) float32, unit rows
    """

    X: Tensor
    y: Tensor
    images: Tensor

    def held_out(self, seed: int) -> Tensor:
        """(n,) bool, the rows that select and evaluate the directions."""
        return validation_rows(self.y, protocols.TEXT_HELD_OUT_SHARE, seed)


def build_text(features: FeatureSet, text_source: TextSource, spec: LibrarySpec, seed: int, device: torch.device) -> ConceptLibrary:
    """Select the phrases that become concepts, and fit their directions.

    Parameters
    ----------
    seed : decides which training images are held out

    Raises
    ------
    LibraryError
        When fewer than two phrases are left (the message names the cutoffs and the best values reached), there are too few held-out
        images, or `native` is requested for a backbone that is not the vision-language model's image tower.
    """
    evidence = _evidence(features, text_source)
    held_out_count = int(evidence.held_out(seed).sum())
    if held_out_count < HELD_OUT_LEAST:
        raise LibraryError(
            f"Text concepts are evaluated on held-out training images, and {held_out_count} of {len(evidence.y)} are too few; "
            f"send about {round(HELD_OUT_LEAST / protocols.TEXT_HELD_OUT_SHARE)} training images or more, so that {HELD_OUT_LEAST} are "
            "held out.",
            code="too_few_images",
            param="dataset",
        )
    if spec.native:
        _require_native(evidence)
    candidates, dropped = _usable_phrases(text_source.phrases)
    clip = _above_clip_cutoff(candidates, evidence, text_source.phrases, spec)
    dropped += clip.dropped
    if not clip.places:
        raise _too_few_phrases(spec, dropped, clip.best, None)
    fitted = _fit(evidence, text_source.phrases.vectors[clip.places], spec, seed, device)
    selected, too_dissimilar = _most_similar(fitted, clip, text_source.phrases, spec)
    dropped += too_dissimilar
    if len(selected) < 2:
        raise _too_few_phrases(spec, dropped, clip.best, float(fitted.similarity.max()))
    concepts: list[TextConcept] = []
    for i in selected:
        phrase = text_source.phrases.phrases[clip.places[i]]
        similarity, clip_top5 = (round(float(values[i]), 4) for values in (fitted.similarity, clip.top5))
        concepts.append(TextConcept(phrase=phrase.text, group=phrase.group, similarity=similarity, clip_top5=clip_top5))
    report = _report(tuple(concepts), dropped, text_source, spec, held_out_count)
    return _library(features, fitted.vectors[selected], report)


def refit_text(
    features: FeatureSet, text_source: TextSource, report: TextReport, spec: LibrarySpec, seed: int, device: torch.device
) -> ConceptLibrary:
    """Fit the concepts of `report` again with other held-out images: the same M phrases under another seed."""
    place_of = {phrase.text: place for place, phrase in reversed(list(enumerate(text_source.phrases.phrases)))}
    places = [place_of[concept.phrase] for concept in report.concepts]
    fitted = _fit(_evidence(features, text_source), text_source.phrases.vectors[places], spec, seed, device)
    return _library(features, fitted.vectors, report)


def _evidence(features: FeatureSet, text_source: TextSource) -> _Evidence:
    rows, image_rows = features.train_rows, text_source.images.train_rows
    if rows is None or image_rows is None:
        raise LibraryError("A text library needs the images themselves; ready features do not have them.", param="library.kind")
    row_of = {int(row): place for place, row in enumerate(image_rows.tolist())}
    pairs = [(place, row_of[row]) for place, row in enumerate(rows.tolist()) if row in row_of]
    rows_of_f, rows_of_tower = (torch.tensor(rows) for rows in ([own for own, _ in pairs], [other for _, other in pairs]))
    X, y = features.X_train[rows_of_f], features.y_train[rows_of_f]
    order = canonical_order(torch.cat([y.unsqueeze(1).float(), X], dim=1))
    return _Evidence(X[order], y[order], normalize(text_source.images.X_train[rows_of_tower], dim=1)[order])


def _usable_phrases(embeddings: PhraseEmbeddings) -> tuple[list[int], list[DroppedPhrase]]:
    """Places of the phrases left after the filters on wording and embedding, and the dropped ones."""
    places, by_wording = clean_indices(embeddings.phrases, embeddings.class_names)
    dropped = [DroppedPhrase(one.text, one.reason, {} if one.other is None else {"other": one.other}) for one in by_wording]
    distinct, by_embedding = drop_near(embeddings.select(places))
    return [places[i] for i in distinct], dropped + by_embedding


@dataclass(frozen=True)
class _ClipFiltered:
    """Phrases whose mean of the five highest cosines P reaches `clip_cutoff`.

    Attributes
    ----------
    places : of the phrases left
    top5 : (len(places),) float64, their means
    best : the highest mean of all candidates; None without candidates
    dropped : the other candidates
    """

    places: list[int]
    top5: Tensor
    best: float | None
    dropped: list[DroppedPhrase]


def _above_clip_cutoff(candidates: list[int], evidence: _Evidence, embeddings: PhraseEmbeddings, spec: LibrarySpec) -> _ClipFiltered:
    top5 = _top5(evidence, embeddings.vectors[candidates])
    reached = top5 >= spec.clip_cutoff
    return _ClipFiltered(
        places=[place for place, stays in zip(candidates, reached.tolist(), strict=True) if stays],
        top5=top5[reached],
        best=float(top5.max()) if len(top5) else None,
        dropped=[
            DroppedPhrase(embeddings.phrases[place].text, "clip_cutoff", {"clip_top5": round(value, 4)})
            for place, value in zip(candidates, top5.tolist(), strict=True)
            if value < spec.clip_cutoff
        ],
    )


def _most_similar(
    fitted: Imitation, clip: _ClipFiltered, embeddings: PhraseEmbeddings, spec: LibrarySpec
) -> tuple[list[int], list[DroppedPhrase]]:
    """The M most similar phrases that reach `interpretability_cutoff`, as places among the fitted ones, and the dropped ones."""
    order = sorted(range(len(clip.places)), key=lambda i: (-float(fitted.similarity[i]), i))
    passing = [i for i in order if float(fitted.similarity[i]) >= spec.interpretability_cutoff]
    dropped: list[DroppedPhrase] = []
    for number, i in enumerate(order):
        if number >= min(len(passing), spec.concept_count):
            reason = "interpretability_cutoff" if number >= len(passing) else "beyond_count"
            details: dict[str, float | str] = {
                "similarity": round(float(fitted.similarity[i]), 4),
                "clip_top5": round(float(clip.top5[i]), 4),
            }
            dropped.append(DroppedPhrase(embeddings.phrases[clip.places[i]].text, reason, details))
    return sorted(passing[: spec.concept_count]), dropped


def _top5(evidence: _Evidence, vectors: Tensor) -> Tensor:
    """Mean of the five highest cosines of each phrase (P, e) with the training images: (P,) float64."""
    best = torch.empty(0, len(vectors))
    for rows in evidence.images.split(max(TOP_IMAGES, ENTRIES_AT_ONCE // max(1, len(vectors)))):
        together = torch.cat([best, rows @ vectors.T])
        best = together.topk(min(TOP_IMAGES, len(together)), dim=0).values
    return best.double().mean(dim=0)


def _fit(evidence: _Evidence, vectors: Tensor, spec: LibrarySpec, seed: int, device: torch.device) -> Imitation:
    """Directions (M, d) for text embeddings (M, e); those of a native library are the embeddings, evaluated on the same images."""
    held_out = evidence.held_out(seed)
    if not spec.native:
        fitted = imitate(*(part.to(device) for part in (evidence.X, evidence.images, vectors, held_out)))
        return Imitation(fitted.vectors.cpu(), fitted.similarity.cpu())
    X, images = evidence.X[held_out].double(), evidence.images[held_out].double()
    blocks = vectors.double().split(max(1, ENTRIES_AT_ONCE // len(X)))
    return Imitation(vectors.double(), torch.cat([cos_cubed(X @ block.T, images @ block.T) for block in blocks]))


def _library(features: FeatureSet, directions: Tensor, report: TextReport) -> ConceptLibrary:
    """The library of directions (M, d): unit vectors, and the training mean and deviation of each activation."""
    vectors = normalize(directions.double(), dim=1).float()
    means, deviations = training_moments(features.X_train, vectors)
    units, numbers = unit_elements(features)
    exemplars = nearest_elements(vectors, units, numbers) if len(units) else ((),) * len(vectors)
    return ConceptLibrary(
        kind="text",
        vectors=vectors,
        origins=("text",) * len(vectors),
        exemplars=exemplars,
        means=means,
        deviations=deviations,
        text_report=report,
    )


def _report(
    concepts: tuple[TextConcept, ...], dropped: list[DroppedPhrase], text_source: TextSource, spec: LibrarySpec, held_out_count: int
) -> TextReport:
    """The report of the library, with the zero-shot accuracy of the vision-language model on the test images."""
    y = text_source.images.y_test
    predicted = (normalize(text_source.images.X_test, dim=1) @ text_source.phrases.class_vectors.T).argmax(dim=1)
    correct_count = int((predicted == y).sum())
    interval = binomtest(correct_count, len(y)).proportion_ci(protocols.CONFIDENCE, method="wilson")
    return TextReport(
        concepts=concepts,
        left_out=tuple(dropped),
        clip_cutoff=spec.clip_cutoff,
        interpretability_cutoff=spec.interpretability_cutoff,
        native=spec.native,
        held_out_count=held_out_count,
        zero_shot_accuracy=correct_count / len(y),
        zero_shot_low=float(interval.low),
        zero_shot_high=float(interval.high),
        chance=float(torch.bincount(y).max()) / len(y),
    )


def _require_native(evidence: _Evidence) -> None:
    same_width = evidence.X.shape[1] == evidence.images.shape[1]
    if not same_width or float((normalize(evidence.X, dim=1) - evidence.images).norm(dim=1).max()) > NATIVE_TOLERANCE:
        raise LibraryError(
            "A native text library needs the scored model to be the vision-language model's own image tower: register the same "
            "architecture and checkpoint as the model, without a layer, or leave native out to have the directions fitted.",
            code="library_not_native",
            param="library.native",
        )


def _too_few_phrases(
    spec: LibrarySpec, dropped: list[DroppedPhrase], best_top5: float | None, best_similarity: float | None
) -> LibraryError:
    counts = Counter(phrase.reason for phrase in dropped)
    reasons = ", ".join(f"{count} by {reason}" for reason, count in counts.items())
    top5 = "no phrase was left to compare" if best_top5 is None else f"the best phrase reached {best_top5:.3f}"
    similarity = "no phrase was left to fit" if best_similarity is None else f"the best phrase reached {best_similarity:.3f}"
    cutoff_dropped_some = counts["clip_cutoff"] + counts["interpretability_cutoff"] > 0
    return LibraryError(
        f"A text library needs at least two concepts, and too few phrases are left (dropped: {reasons or 'none'}). "
        f"clip_cutoff is {spec.clip_cutoff:g}: {top5}; interpretability_cutoff is {spec.interpretability_cutoff:g}: {similarity}. "
        + ("Lower the cutoff, or send" if cutoff_dropped_some else "Send more")
        + " phrases that describe the images.",
        code="library_empty",
        param="library",
    )
