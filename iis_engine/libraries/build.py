"""Build a concept library from its specification; validate the specification first."""

from __future__ import annotations

import torch

from iis_engine.errors import LibraryError
from iis_engine.features.canonical_order import in_canonical_order
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.calibration import training_mean
from iis_engine.libraries.cluster import build_cluster
from iis_engine.libraries.combined import combine
from iis_engine.libraries.end2end import MOST_ELEMENTS, build_end2end
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.nmf import build_nmf
from iis_engine.libraries.prototype import build_prototype, prototype_of
from iis_engine.libraries.random import build_random
from iis_engine.libraries.sae import build_sae
from iis_engine.libraries.text import TextSource, build_text, refit_text
from iis_engine.libraries.unit_elements import canonical_elements, unit_elements
from iis_engine.libraries.vectors import OwnVectors, build_vectors
from iis_engine.specs import LIBRARY_KINDS, VISUAL_KINDS, LibrarySpec


def check_library(
    features: FeatureSet, spec: LibrarySpec, text_source: TextSource | None = None, own_vectors: OwnVectors | None = None
) -> None:
    """Validate, before any work, that a library can be built from these features and text embeddings.

    Raises
    ------
    LibraryError
        For an unknown kind, M below 2, invalid parts, missing element features, or M larger than the number of elements.
    """
    if spec.kind not in LIBRARY_KINDS:
        raise LibraryError(f"{spec.kind!r} is not a library kind; choose one of {', '.join(LIBRARY_KINDS)}.", param="library.kind")
    if spec.kind == "combined":
        if len(spec.parts) < 2 or any(part.kind == "combined" for part in spec.parts):
            raise LibraryError("A combined library needs at least two parts, none of them combined.", param="library.parts")
        if len({part.kind for part in spec.parts}) < len(spec.parts):
            raise LibraryError("A combined library can have each kind only once.", param="library.parts")
        for part in spec.parts:
            check_library(features, part, text_source, own_vectors)
        return
    if spec.kind != "vectors" and spec.concept_count < 2:
        raise LibraryError(f"A library needs at least 2 concepts; got {spec.concept_count}.", param="library.concept_count")
    _require_source(spec, text_source, own_vectors)
    if spec.kind not in VISUAL_KINDS:
        return
    available = len(unit_elements(features)[0])
    if features.elements is None:
        raise LibraryError(
            f"A {spec.kind} library needs visual elements, and these features hold none; add an array named concepts to the file.",
            param="library.kind",
        )
    if spec.kind != "prototype":
        available = min(available, MOST_ELEMENTS)
    if spec.concept_count > available:
        raise LibraryError(
            f"M = {spec.concept_count} concepts were requested, but only {available} visual elements can be used; "
            f"{_advice_on_elements(features, available)}.",
            param="library.concept_count",
        )


def _require_source(spec: LibrarySpec, text_source: TextSource | None, own_vectors: OwnVectors | None) -> None:
    if spec.kind == "text" and text_source is None:
        raise LibraryError("A text library needs a vision-language model, a vocabulary, and the images themselves.", param="library.kind")
    if spec.kind == "vectors" and own_vectors is None:
        raise LibraryError("A library of own vectors needs a file with them.", param="library.upload")


def build_library(
    features: FeatureSet,
    spec: LibrarySpec,
    seed: int,
    device: torch.device,
    *,
    text_source: TextSource | None = None,
    own_vectors: OwnVectors | None = None,
    like: ConceptLibrary | None = None,
    centred: bool = True,
) -> ConceptLibrary:
    """Build one library.

    Parameters
    ----------
    seed : of every random draw
    text_source : embeddings for text concepts
    own_vectors : concept vectors of a file, for the kind `vectors`
    like : the library of the same specification under another seed, whose phrases text concepts keep
    centred : whether visual elements are centred by their mean before they are normalised; not in the first edition

    Raises
    ------
    LibraryError
        When it cannot be built.
    """
    check_library(features, spec, text_source, own_vectors)
    if spec.kind == "combined":
        parts = [build_library(features, part, seed, device, text_source=text_source, like=like, centred=centred) for part in spec.parts]
        return combine(parts)
    if spec.kind == "vectors" and own_vectors is not None:
        return build_vectors(features, own_vectors)
    if spec.kind == "text" and text_source is not None:
        if like is not None and like.text_report is not None:
            return refit_text(features, text_source, like.text_report, spec, seed, device)
        return build_text(features, text_source, spec, seed, device)
    if spec.kind == "random":
        return build_random(features.X_train.shape[1], spec.concept_count, seed)
    return _build_visual(features, spec, seed, device, centred=centred)


def _build_visual(features: FeatureSet, spec: LibrarySpec, seed: int, device: torch.device, *, centred: bool) -> ConceptLibrary:
    units, numbers = canonical_elements(features, centred=centred and spec.kind != "nmf")  # which needs numbers of one sign
    if spec.kind == "prototype":
        return build_prototype(units, numbers, spec.concept_count, seed)
    if spec.kind == "cluster":
        return build_cluster(units, numbers, spec.concept_count, seed)
    if spec.kind == "nmf":
        return build_nmf(units, numbers, spec.concept_count, seed)
    if spec.kind == "sae":
        return build_sae(units, numbers, spec.concept_count, seed)
    ordered = in_canonical_order(features)  # so that training batches do not depend on the order of the file
    X, y = ordered.X_train.to(device), (ordered.y_train if ordered.labels_train is None else ordered.labels_train).to(device)
    inputs = (X.double() - training_mean(X)).float() if centred else X
    return build_end2end(units, numbers, spec.concept_count, inputs, y, features.class_count, seed)


def authors_prototype(features: FeatureSet, concept_count: int) -> ConceptLibrary:
    """The authors' Prototype library: the first M elements in the order of the file."""
    check_library(features, LibrarySpec("prototype", concept_count))
    units, numbers = unit_elements(features)
    return prototype_of(units[:concept_count], numbers[:concept_count])


def _advice_on_elements(features: FeatureSet, available: int) -> str:
    """Advice where there are fewer elements than concepts: more can be cut from images, but not from ready features."""
    fewer = "ask for fewer concepts"
    if available == MOST_ELEMENTS:
        return fewer
    if features.element_refs:
        return f"{fewer} or cut elements from more images per class or with larger scales (finer grids)"
    return f"{fewer} or give more rows in the file's array concepts, each of which is one element"
