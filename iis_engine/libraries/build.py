"""From a request to a library: which builder, on which elements, and what is refused."""

from __future__ import annotations

import torch

from iis_engine.errors import LibraryError
from iis_engine.features.canonical_order import in_canonical_order
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.cluster import build_cluster
from iis_engine.libraries.combined import combine
from iis_engine.libraries.end2end import MOST_ELEMENTS, build_end2end
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.prototype import build_prototype, prototype_of
from iis_engine.libraries.random import build_random
from iis_engine.libraries.text import TextSource, build_text, refit_text
from iis_engine.libraries.unit_elements import settled_elements, unit_elements
from iis_engine.specs import LIBRARY_KINDS, VISUAL_KINDS, LibrarySpec


def check_library(features: FeatureSet, spec: LibrarySpec, source: TextSource | None = None) -> None:
    """Refuse, before any work, a library that these features, and this source of text concepts, cannot give.

    Raises
    ------
    LibraryError
        For an unknown kind, M below 1, parts that do not fit, missing element features, or M larger than the elements.
    """
    if spec.kind not in LIBRARY_KINDS:
        raise LibraryError(f"There is no library {spec.kind!r}; choose one of {', '.join(LIBRARY_KINDS)}.", param="library.kind")
    if spec.kind == "combined":
        if len(spec.parts) < 2 or any(part.kind == "combined" for part in spec.parts):
            raise LibraryError("A combined library joins at least two libraries that are not combined themselves.", param="library.parts")
        if len({part.kind for part in spec.parts}) < len(spec.parts):
            raise LibraryError("A combined library names each kind once.", param="library.parts")
        for part in spec.parts:
            check_library(features, part, source)
        return
    if spec.concept_count < 2:
        raise LibraryError(f"A library needs at least 2 concepts; got {spec.concept_count}.", param="library.concept_count")
    if spec.kind == "text" and source is None:
        raise LibraryError(
            "A text library needs a vision-language model and a vocabulary, and the images that both networks read.", param="library.kind"
        )
    if spec.kind not in VISUAL_KINDS:
        return
    available = len(unit_elements(features)[0])
    if features.elements is None:
        raise LibraryError(
            f"A {spec.kind} library is made of visual elements, and these features hold none; add an array named concepts to the file.",
            param="library.kind",
        )
    if spec.kind != "prototype":
        available = min(available, MOST_ELEMENTS)
    if spec.concept_count > available:
        raise LibraryError(
            f"M = {spec.concept_count} concepts were asked for but only {available} visual elements can be used; "
            f"{_advice_on_elements(features, available)}.",
            param="library.concept_count",
        )


def build_library(
    features: FeatureSet,
    spec: LibrarySpec,
    seed: int,
    device: torch.device,
    *,
    source: TextSource | None = None,
    like: ConceptLibrary | None = None,
) -> ConceptLibrary:
    """Build one library; `seed` decides every draw in it.

    Parameters
    ----------
    source : where text concepts come from
    like : the library of the same request under another seed, whose phrases text concepts keep
    """
    check_library(features, spec, source)
    if spec.kind == "combined":
        parts = [build_library(features, part, seed, device, source=source, like=like) for part in spec.parts]
        return combine(parts)
    if spec.kind == "text" and source is not None:
        if like is not None and like.words is not None:
            return refit_text(features, source, like.words, spec, seed, device)
        return build_text(features, source, spec, seed, device)
    if spec.kind == "random":
        return build_random(features.X_train.shape[1], spec.concept_count, seed)
    return _build_visual(features, spec, seed, device)


def _build_visual(features: FeatureSet, spec: LibrarySpec, seed: int, device: torch.device) -> ConceptLibrary:
    units, numbers = settled_elements(features)
    if spec.kind == "prototype":
        return build_prototype(units, numbers, spec.concept_count, seed)
    if spec.kind == "cluster":
        return build_cluster(units, numbers, spec.concept_count, seed)
    ordered = in_canonical_order(features)  # batches must not follow the order of the file
    X, y = ordered.X_train.to(device), ordered.y_train.to(device)
    return build_end2end(units, numbers, spec.concept_count, X, y, features.class_count, seed)


def first_elements(features: FeatureSet, concept_count: int) -> ConceptLibrary:
    """The authors' Prototype: the first M elements as they come."""
    check_library(features, LibrarySpec("prototype", concept_count))
    units, numbers = unit_elements(features)
    return prototype_of(units[:concept_count], numbers[:concept_count])


def _advice_on_elements(features: FeatureSet, available: int) -> str:
    """What helps where there are fewer elements than concepts: others can be cut from images, and ready features hold those they hold."""
    fewer = "ask for fewer concepts"
    if available == MOST_ELEMENTS:
        return fewer
    if features.element_refs:
        return f"{fewer} or cut elements from more images per class"
    return f"{fewer} or give more rows in the file's array concepts, each of which is one element"
