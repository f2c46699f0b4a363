"""Text library: phrases as concepts, their directions fitted to the cosines of a vision-language model (METHOD §2, eq. 2).

The rows that fit, choose and judge are in `text_evidence`; embeddings of phrases and images are inputs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine import protocols
from iis_engine.errors import LibraryError
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.library import ConceptLibrary, nearest_elements, training_moments
from iis_engine.libraries.near_duplicates import drop_near
from iis_engine.libraries.phrase_report import FITTED_REASONS, DroppedPhrase, TextConcept, TextReport
from iis_engine.libraries.text_evidence import Evidence, Fitted, read_evidence
from iis_engine.libraries.unit_elements import unit_elements
from iis_engine.specs import LibrarySpec
from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings
from iis_engine.vocabularies.cleaning import clean_indices

HALF_LEAST = 5
"""Images in each half of the held-out ones."""
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


def build_text(features: FeatureSet, text_source: TextSource, spec: LibrarySpec, seed: int, device: torch.device) -> ConceptLibrary:
    """Select the phrases that become concepts, and fit their directions.

    A phrase must reach `interpretability_cutoff` on the half of the held-out images that chooses, and again on the half that judges. The M
    phrases most similar on the choosing half are kept; the similarity reported is that on the judging half (METHOD §3).

    Parameters
    ----------
    seed : of the split of the training images, which the report keeps for further seeds, and of the rows that are fitted

    Raises
    ------
    LibraryError
        When fewer than two phrases are left (the message names the cutoffs and the best values reached), there are too few held-out
        images, the features have no images, or `native` is requested for a backbone that is not the vision-language model's image tower.
    """
    evidence = read_evidence(features, text_source.images, seed)
    held_out_count = evidence.choosing_count + evidence.judging_count
    if min(evidence.choosing_count, evidence.judging_count) < HALF_LEAST:
        raise LibraryError(
            f"Text concepts are evaluated on held-out training images, and {held_out_count} of {len(evidence.X)} are too few; "
            f"send about {round(2 * HALF_LEAST / protocols.TEXT_HELD_OUT_SHARE)} training images or more, so that {2 * HALF_LEAST} are "
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
    fitted = fit_vectors(evidence, text_source.phrases.vectors[clip.places], spec, seed, device)
    selected, too_dissimilar = _most_similar(fitted, clip, text_source.phrases, spec)
    dropped += too_dissimilar
    if len(selected) < 2:
        raise _too_few_phrases(spec, dropped, clip.best, float(torch.minimum(fitted.chosen, fitted.judged).max()))
    concepts: list[TextConcept] = []
    for i in selected:
        phrase = text_source.phrases.phrases[clip.places[i]]
        similarity, clip_top5 = (round(float(values[i]), 4) for values in (fitted.judged, clip.top5))
        concepts.append(TextConcept(phrase=phrase.text, group=phrase.group, similarity=similarity, clip_top5=clip_top5))
    report = _report(tuple(concepts), dropped, text_source, spec, evidence, seed)
    return replace(standardised_library(features, fitted.vectors[selected], "text"), text_report=report)


def refit_text(
    features: FeatureSet, text_source: TextSource, report: TextReport, spec: LibrarySpec, seed: int, device: torch.device
) -> ConceptLibrary:
    """Fit the concepts of `report` again to other rows: the same M phrases, choosing and judging images under another seed."""
    place_of = {phrase.text: place for place, phrase in reversed(list(enumerate(text_source.phrases.phrases)))}
    places = [place_of[concept.phrase] for concept in report.concepts]
    evidence = read_evidence(features, text_source.images, report.split_seed)
    fitted = fit_vectors(evidence, text_source.phrases.vectors[places], spec, seed, device)
    return replace(standardised_library(features, fitted.vectors, "text"), text_report=report)


def usable_vectors(embeddings: PhraseEmbeddings, report: TextReport) -> Tensor:
    """Embeddings (P, e) of the phrases that were left after the filters on wording and embedding."""
    texts = {concept.phrase for concept in report.concepts}
    texts |= {phrase.phrase for phrase in report.left_out if phrase.reason in ("clip_cutoff", *FITTED_REASONS)}
    place_of = {phrase.text: place for place, phrase in reversed(list(enumerate(embeddings.phrases)))}
    return embeddings.vectors[sorted(place_of[text] for text in texts)]


def fit_vectors(evidence: Evidence, vectors: Tensor, spec: LibrarySpec, seed: int, device: torch.device) -> Fitted:
    """Directions (M, d) for text embeddings (M, e); those of a native library are the embeddings."""
    return evidence.as_they_are(vectors) if spec.native else evidence.fit(vectors, seed, device)


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


def _above_clip_cutoff(candidates: list[int], evidence: Evidence, embeddings: PhraseEmbeddings, spec: LibrarySpec) -> _ClipFiltered:
    top5 = evidence.top5(embeddings.vectors[candidates])
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
    fitted: Fitted, clip: _ClipFiltered, embeddings: PhraseEmbeddings, spec: LibrarySpec
) -> tuple[list[int], list[DroppedPhrase]]:
    """The M most similar phrases that reach `interpretability_cutoff` on both halves, as places among the fitted ones, and the dropped."""
    order = sorted(range(len(clip.places)), key=lambda i: (-float(fitted.chosen[i]), i))
    chosen = [i for i in order if float(fitted.chosen[i]) >= spec.interpretability_cutoff]
    confirmed = [i for i in chosen if float(fitted.judged[i]) >= spec.interpretability_cutoff]
    selected = confirmed[: spec.concept_count]
    reason_of = dict.fromkeys(order, "interpretability_cutoff")
    reason_of |= dict.fromkeys(chosen, "not_confirmed") | dict.fromkeys(confirmed[spec.concept_count :], "beyond_count")
    for i in selected:
        del reason_of[i]
    dropped: list[DroppedPhrase] = []
    for i, reason in reason_of.items():
        details: dict[str, float | str] = {
            "similarity": round(float(fitted.judged[i]), 4),
            "chosen_similarity": round(float(fitted.chosen[i]), 4),
            "clip_top5": round(float(clip.top5[i]), 4),
        }
        dropped.append(DroppedPhrase(embeddings.phrases[clip.places[i]].text, reason, details))
    return sorted(selected), dropped


def standardised_library(features: FeatureSet, directions: Tensor, kind: str) -> ConceptLibrary:
    """The library of directions (M, d): unit vectors, and the training mean and deviation of each activation."""
    vectors = normalize(directions.double(), dim=1).float()
    means, deviations = training_moments(features.X_train, vectors)
    units, numbers = unit_elements(features)
    exemplars = nearest_elements(vectors, units, numbers) if len(units) else ((),) * len(vectors)
    return ConceptLibrary(
        kind=kind,
        vectors=vectors,
        origins=("text",) * len(vectors),
        exemplars=exemplars,
        means=means,
        deviations=deviations,
    )


def _report(
    concepts: tuple[TextConcept, ...],
    dropped: list[DroppedPhrase],
    text_source: TextSource,
    spec: LibrarySpec,
    evidence: Evidence,
    split_seed: int,
) -> TextReport:
    """The report of the library, with the zero-shot accuracy of the vision-language model on the test images."""
    y = text_source.images.y_test
    predicted = (normalize(text_source.images.X_test, dim=1) @ text_source.phrases.class_vectors.T).argmax(dim=1)
    correct_count = int((predicted == y).sum())
    from scipy.stats import binomtest  # other libraries do without scipy

    interval = binomtest(correct_count, len(y)).proportion_ci(protocols.CONFIDENCE, method="wilson")
    found = TextReport(
        concepts=concepts,
        left_out=tuple(dropped),
        clip_cutoff=spec.clip_cutoff,
        interpretability_cutoff=spec.interpretability_cutoff,
        native=spec.native,
        held_out_count=evidence.choosing_count + evidence.judging_count,
        judging_count=evidence.judging_count,
        split_seed=split_seed,
        zero_shot_accuracy=correct_count / len(y),
        zero_shot_low=float(interval.low),
        zero_shot_high=float(interval.high),
        chance=float(torch.bincount(y).max()) / len(y),
    )
    return found.without_zero_shot() if text_source.images.is_multi_label else found


def _require_native(evidence: Evidence) -> None:
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
    cutoff_dropped_some = any(counts[reason] for reason in ("clip_cutoff", "interpretability_cutoff", "not_confirmed"))
    return LibraryError(
        f"A text library needs at least two concepts, and too few phrases are left (dropped: {reasons or 'none'}). "
        f"clip_cutoff is {spec.clip_cutoff:g}: {top5}; interpretability_cutoff is {spec.interpretability_cutoff:g}: {similarity}. "
        + ("Lower the cutoff, or send" if cutoff_dropped_some else "Send more")
        + " phrases that describe the images.",
        code="library_empty",
        param="library",
    )
