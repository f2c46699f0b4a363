"""From a request to a library: which builder, on which elements, and what is refused."""

from __future__ import annotations

import torch
from torch import Tensor

from iis_engine.errors import LibraryError
from iis_engine.features import FeatureSet, Progress, no_progress
from iis_engine.libraries.cluster import build_cluster
from iis_engine.libraries.combined import combine
from iis_engine.libraries.end2end import MOST_ELEMENTS, build_end2end
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.prototype import build_prototype, prototype_of
from iis_engine.libraries.random import build_random
from iis_engine.order import canonical_order, in_canonical_order
from iis_engine.specs import LIBRARY_KINDS, LibrarySpec

VISUAL_KINDS = ("prototype", "cluster", "end2end")


def unit_elements(features: FeatureSet) -> tuple[Tensor, Tensor]:
    """L2-normalised element features (E, d) float64 and their indices; elements the network maps to zero have no direction and stay out."""
    if features.elements is None:
        return torch.empty(0, features.X_train.shape[1], dtype=torch.float64), torch.empty(0, dtype=torch.int64)
    elements = features.elements.double()
    norms = elements.norm(dim=1)
    numbers = (norms > 0).nonzero().flatten()
    return elements[numbers] / norms[numbers].unsqueeze(1), numbers


def settled_elements(features: FeatureSet) -> tuple[Tensor, Tensor]:
    """`unit_elements` in an order that depends on their content alone: what comes first in the file decides nothing."""
    units, numbers = unit_elements(features)
    if features.elements is None:
        return units, numbers
    order = canonical_order(features.elements[numbers])
    order = order[torch.randperm(len(order), generator=torch.Generator().manual_seed(0))]
    return units[order], numbers[order]


def check_library(features: FeatureSet, spec: LibrarySpec) -> None:
    """Refuse, before any work, a library that these features cannot give.

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
            check_library(features, part)
        return
    if spec.concept_count < 2:
        raise LibraryError(f"A library needs at least 2 concepts; got {spec.concept_count}.", param="library.concept_count")
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
            "ask for fewer concepts or cut elements from more images per class.",
            param="library.concept_count",
        )


def build_library(
    features: FeatureSet, spec: LibrarySpec, seed: int, device: torch.device, progress: Progress = no_progress
) -> ConceptLibrary:
    """Build one library; `seed` decides every draw in it."""
    check_library(features, spec)
    if spec.kind == "combined":
        return combine([build_library(features, part, seed, device, progress) for part in spec.parts])
    if spec.kind == "random":
        return build_random(features.X_train.shape[1], spec.concept_count, seed)
    units, numbers = settled_elements(features)
    if spec.kind == "prototype":
        return build_prototype(units, numbers, spec.concept_count, seed)
    if spec.kind == "cluster":
        return build_cluster(units, numbers, spec.concept_count, seed)
    ordered = in_canonical_order(features)  # batches must not follow the order of the file
    X, y = ordered.X_train.to(device), ordered.y_train.to(device)
    return build_end2end(units, numbers, spec.concept_count, X, y, features.class_count, seed, progress)


def first_elements(features: FeatureSet, concept_count: int) -> ConceptLibrary:
    """The authors' Prototype: the first M elements as they come."""
    check_library(features, LibrarySpec("prototype", concept_count))
    units, numbers = unit_elements(features)
    return prototype_of(units[:concept_count], numbers[:concept_count])
