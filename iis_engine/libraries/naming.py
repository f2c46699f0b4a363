"""Names for visual concepts: the phrases nearest to the crops that show them, or none where no phrase stands out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine import protocols
from iis_engine.data.datasets import ImageDataset
from iis_engine.errors import DataError, LibraryError
from iis_engine.features.crops import exemplar_crops
from iis_engine.features.embedding import BatchEmbedder, default_batch_size
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.near_duplicates import drop_near
from iis_engine.progress import Progress, no_progress
from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings
from iis_engine.vocabularies.cleaning import CONCEPT_CHARACTERS_MAX, clean_indices

if TYPE_CHECKING:
    from iis_engine.backbones.backbone import Backbone

NAMES_PER_CONCEPT = 5
ROTATIONS = 20


@dataclass(frozen=True)
class NearPhrase:
    """A phrase and how well it fits: `score` above the other crops, in deviations of a phrase without meaning, and the bare `cosine`."""

    phrase: str
    score: float
    cosine: float


@dataclass(frozen=True)
class ConceptName:
    """The nearest phrases of one concept, best first, and whether the first one is its name."""

    names: tuple[NearPhrase, ...]
    margin: float  # between the scores of the first two
    named: bool

    @property
    def label(self) -> str | None:
        return self.names[0].phrase if self.named else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values."""
        return asdict(self) | {"names": [asdict(name) for name in self.names]}


def embed_exemplars(
    tower: Backbone, images: ImageDataset, features: FeatureSet, library: ConceptLibrary, progress: Progress = no_progress
) -> dict[int, Tensor]:
    """Unit image embeddings (e,) of every element that shows a concept, cut out of its image as it was for the library.

    Raises
    ------
    DataError
        When the elements were not cut from these images.
    """
    if not features.element_refs:
        raise DataError("Concepts are named by the crops that show them, and these features do not say where theirs were cut.")
    embedder = BatchEmbedder(tower, default_batch_size(tower))
    found: dict[int, Tensor] = {}
    shown = {element for row in library.exemplars for element, _ in row}
    for elements, crops in exemplar_crops(images, features, shown, progress):
        pixels = np.stack([tower.transform.uncropped_pixels(crop) for crop in crops])
        found.update(zip(elements, normalize(embedder.embed(pixels).cpu(), dim=1), strict=True))
    return found


def name_concepts(library: ConceptLibrary, crops: dict[int, Tensor], embeddings: PhraseEmbeddings) -> list[ConceptName | None]:
    """The nearest phrases of each concept that crops show; None for text concepts, which have theirs, and for bare directions.

    A phrase's mean cosine over all crops shown is taken off first, since some phrases are near to every image; the score of a phrase
    is the mean over the concept's crops of what is left. Phrases that say nearly the same are one phrase, or each would deny the other
    its margin. The unit is what chance gives: crops of one concept resemble each other, so any direction tells them from the rest to
    some degree. Phrases turned at random about their mean say how far, and a concept is named where score and margin are beyond that.

    Parameters
    ----------
    crops : unit image embeddings (e,) by element, as `embed_exemplars` gives them
    """
    phrases = _distinct(embeddings)
    shown = [place for place, (origin, row) in enumerate(zip(library.origins, library.exemplars, strict=True)) if origin != "text" and row]
    if not shown:
        return [None] * len(library)
    elements = sorted(crops)
    place_of = {element: place for place, element in enumerate(elements)}
    members = torch.zeros(len(shown), len(elements))  # a row a concept, the share of each of its crops
    for row, place in enumerate(shown):
        own = [place_of[element] for element, _ in library.exemplars[place]]
        members[row, own] = 1 / len(own)
    seen = torch.stack([crops[element] for element in elements]).float()
    apart, together = members @ (seen - seen.mean(dim=0)), members @ seen
    counts = (members > 0).sum(dim=1)
    chance = _by_chance(seen, apart, counts, phrases.vectors)
    names: list[ConceptName | None] = [None] * len(library)
    for row, place in enumerate(shown):
        score, cosine = phrases.vectors @ apart[row] / chance.unit, phrases.vectors @ together[row]
        names[place] = _name(score, cosine, phrases, chance.limits[int(counts[row])])
    return names


@dataclass(frozen=True)
class _Chance:
    """What phrases turned at random reach: the deviation of their cosines over crops, and the 95th percentile of best score and margin."""

    unit: float
    limits: dict[int, tuple[float, float]]  # by number of crops


def _by_chance(seen: Tensor, apart: Tensor, counts: Tensor, vectors: Tensor) -> _Chance:
    """A random rotation about their mean keeps how the phrases lie to each other and takes away what they mean."""
    generator = torch.Generator().manual_seed(0)
    mean = vectors.mean(dim=0)
    covariance = torch.cov(seen.T, correction=0)
    variances: list[Tensor] = []
    best: list[Tensor] = []
    for _ in range(ROTATIONS):
        turn = torch.linalg.qr(torch.randn(len(mean), len(mean), generator=generator)).Q
        turned = normalize((vectors - mean) @ turn + mean, dim=1)
        variances.append(((turned @ covariance) * turned).sum(dim=1).mean())
        best.append(torch.stack([_two_best(row @ turned.T) for row in apart]))
    unit = max(float(torch.stack(variances).mean().sqrt()), 1e-9)
    found = torch.stack(best) / unit  # (rotations, concepts, 2)

    def limit(values: Tensor, count: int) -> float:
        return float(values[:, counts == count].quantile(protocols.CONFIDENCE))

    return _Chance(unit, {count: (limit(found[..., 0], count), limit(found[..., 1], count)) for count in set(counts.tolist())})


def _two_best(score: Tensor) -> Tensor:
    """(2,): the highest score and by how much it leads."""
    first = score.topk(min(2, len(score))).values
    return torch.stack([first[0], first[0] - first[1] if len(first) > 1 else first[0]])


def save_names(names: Sequence[ConceptName | None], path: Path) -> None:
    """Write one JSON file."""
    path.write_text(json.dumps([None if name is None else name.to_dict() for name in names], allow_nan=False))


def load_names(path: Path) -> list[ConceptName | None]:
    """Read a file written by `save_names`."""
    return [
        None if one is None else ConceptName(tuple(NearPhrase(**name) for name in one["names"]), one["margin"], one["named"])
        for one in json.loads(path.read_text())
    ]


def _distinct(embeddings: PhraseEmbeddings) -> PhraseEmbeddings:
    phrases = PhraseEmbeddings(embeddings.phrases, embeddings.vectors, (), embeddings.class_vectors[:0])
    phrases = phrases.select(clean_indices(phrases.phrases)[0])
    if not phrases.phrases:
        raise LibraryError(
            f"No phrase of the vocabulary can be a name: all are longer than {CONCEPT_CHARACTERS_MAX} characters; send shorter ones.",
            code="vocabulary_empty",
            param="vocabulary",
        )
    return phrases.select(drop_near(phrases)[0])


def _name(score: Tensor, cosine: Tensor, phrases: PhraseEmbeddings, limits: tuple[float, float]) -> ConceptName:
    order = score.argsort(descending=True, stable=True)[:NAMES_PER_CONCEPT].tolist()
    nearest = tuple(NearPhrase(phrases.phrases[i].text, round(float(score[i]), 4), round(float(cosine[i]), 4)) for i in order)
    best, margin = (float(value) for value in _two_best(score))
    # A cosine below the mean over all phrases says that the crops are merely less unlike the phrase than others are.
    likely = float(cosine[order[0]]) >= float(cosine.mean())
    return ConceptName(nearest, round(margin, 4), named=likely and best > limits[0] and margin > limits[1])
