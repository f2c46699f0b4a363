"""Names of visual concepts: the phrase nearest to a concept's exemplar crops, where one stands out from chance."""

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
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.errors import DataError, LibraryError
from iis_engine.features.crops import exemplar_crops
from iis_engine.features.embedding import BatchEmbedder, default_batch_size
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.near_duplicates import drop_near
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings
from iis_engine.vocabularies.cleaning import CONCEPT_CHARACTERS_MAX, clean_indices

if TYPE_CHECKING:
    from iis_engine.backbones.backbone import Backbone

NAMES_PER_CONCEPT = 5
ROTATIONS = 20


@dataclass(frozen=True)
class NearPhrase:
    """A phrase near to a concept.

    Attributes
    ----------
    score : its mean cosine with the concept's crops above that with all crops, in deviations of a phrase without meaning
    cosine : its mean cosine with the concept's crops
    """

    phrase: str
    score: float
    cosine: float


@dataclass(frozen=True)
class ConceptName:
    """The nearest phrases of one concept.

    Attributes
    ----------
    names : best first
    margin : between the scores of the first two
    named : whether the first phrase is the concept's name
    """

    names: tuple[NearPhrase, ...]
    margin: float
    named: bool

    @property
    def label(self) -> str | None:
        return self.names[0].phrase if self.named else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values."""
        return asdict(self) | {"names": [asdict(name) for name in self.names]}


def embed_exemplars(
    tower: Backbone, images: ImageDataset, features: FeatureSet, library: ConceptLibrary, progress: ProgressCallback = no_progress
) -> dict[int, Tensor]:
    """Unit image embeddings (e,) of every exemplar, cut out of its image as for the library, by element index.

    Raises
    ------
    DataError
        When the elements were not cut from these images.
    """
    if not features.element_refs:
        raise DataError("Concepts are named by their exemplar crops, and these features do not say where the crops were cut.")
    embedder = BatchEmbedder(tower, default_batch_size(tower))
    found: dict[int, Tensor] = {}
    shown = {element for row in library.exemplars for element, _ in row}
    for elements, crops in exemplar_crops(images, features, shown, progress):
        pixels = np.stack([tower.transform.uncropped_pixels(crop) for crop in crops])
        found.update(zip(elements, normalize(embedder.embed(pixels).cpu(), dim=1), strict=True))
    return found


def name_concepts(library: ConceptLibrary, crops: dict[int, Tensor], embeddings: PhraseEmbeddings) -> list[ConceptName | None]:
    """The nearest phrases of each concept with exemplars; None for text concepts and for concepts without exemplars.

    The score of a phrase is its mean cosine with the concept's crops less that with all crops, since some phrases are near to every
    image. Near-duplicate phrases count as one, or each would take the other's margin. Crops of one concept resemble each other, so
    that any direction separates them from the rest to some degree: phrases rotated at random about their mean give the unit of the
    scores and the 95th percentiles that score and margin of a name must exceed.

    Parameters
    ----------
    crops : unit image embeddings (e,) by element index, from `embed_exemplars`
    """
    phrases = _distinct(embeddings)
    shown = [place for place, (origin, row) in enumerate(zip(library.origins, library.exemplars, strict=True)) if origin != "text" and row]
    if not shown:
        return [None] * len(library)
    elements = sorted(crops)
    place_of = {element: place for place, element in enumerate(elements)}
    members = torch.zeros(len(shown), len(elements))  # per concept the share of each of its crops
    for row, place in enumerate(shown):
        own = [place_of[element] for element, _ in library.exemplars[place]]
        members[row, own] = 1 / len(own)
    seen = torch.stack([crops[element] for element in elements]).float()
    apart, together = members @ (seen - seen.mean(dim=0)), members @ seen
    counts = (members > 0).sum(dim=1)
    chance = _chance_scores(seen, apart, counts, phrases.vectors)
    names: list[ConceptName | None] = [None] * len(library)
    for row, place in enumerate(shown):
        score, cosine = phrases.vectors @ apart[row] / chance.unit, phrases.vectors @ together[row]
        names[place] = _name(score, cosine, phrases, chance.limits[int(counts[row])])
    return names


@dataclass(frozen=True)
class _Chance:
    """Scores of randomly rotated phrases.

    Attributes
    ----------
    unit : deviation of their cosines over crops
    limits : 95th percentiles of the best score and of the margin, by the number of crops of a concept
    """

    unit: float
    limits: dict[int, tuple[float, float]]


def _chance_scores(seen: Tensor, apart: Tensor, counts: Tensor, vectors: Tensor) -> _Chance:
    """Rotate the phrases at random about their mean: this keeps their geometry and removes their meaning."""
    generator = torch.Generator().manual_seed(0)
    mean = vectors.mean(dim=0)
    covariance = torch.cov(seen.T, correction=0)
    variances: list[Tensor] = []
    best: list[Tensor] = []
    for _ in range(ROTATIONS):
        rotation = torch.linalg.qr(torch.randn(len(mean), len(mean), generator=generator)).Q
        rotated = normalize((vectors - mean) @ rotation + mean, dim=1)
        variances.append(((rotated @ covariance) * rotated).sum(dim=1).mean())
        best.append(torch.stack([_two_best(row @ rotated.T) for row in apart]))
    unit = max(float(torch.stack(variances).mean().sqrt()), 1e-9)
    scores = torch.stack(best) / unit  # (rotations, concepts, 2)

    def limit(values: Tensor, count: int) -> float:
        return float(values[:, counts == count].quantile(protocols.CONFIDENCE))

    return _Chance(unit, {count: (limit(scores[..., 0], count), limit(scores[..., 1], count)) for count in set(counts.tolist())})


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
            f"No phrase of the vocabulary can be a name: all are longer than {CONCEPT_CHARACTERS_MAX} characters; send shorter phrases.",
            code="vocabulary_empty",
            param="vocabulary",
        )
    return phrases.select(drop_near(phrases)[0])


def _name(score: Tensor, cosine: Tensor, phrases: PhraseEmbeddings, limits: tuple[float, float]) -> ConceptName:
    order = score.argsort(descending=True, stable=True)[:NAMES_PER_CONCEPT].tolist()
    nearest = tuple(NearPhrase(phrases.phrases[i].text, round(float(score[i]), 4), round(float(cosine[i]), 4)) for i in order)
    best, margin = (float(value) for value in _two_best(score))
    # Below the mean cosine over all phrases, the crops do not resemble the phrase; they are only less unlike it than other crops.
    resembles = float(cosine[order[0]]) >= float(cosine.mean())
    return ConceptName(nearest, round(margin, 4), named=resembles and best > limits[0] and margin > limits[1])
