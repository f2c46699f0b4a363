"""Names for visual concepts: the phrases nearest to the crops that show them, or none where no phrase stands out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.datasets import ImageDataset
from iis_engine.elements import element_crops
from iis_engine.errors import DataError
from iis_engine.extraction import Batcher, default_batch_size
from iis_engine.features import FeatureSet, Progress, no_progress
from iis_engine.images import load_image
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.near_phrases import drop_near
from iis_engine.phrase_embeddings import PhraseEmbeddings
from iis_engine.vocabulary import clean

if TYPE_CHECKING:
    from iis_engine.backbones import Backbone

NAMES_PER_CONCEPT = 5
LEAST_SCORE = 1.0
LEAST_MARGIN = 0.25
"""In standard deviations over the crops shown. Below either a concept is unnamed: another phrase fits as well, or none does.

So it is where the cosine itself lies below the mean over all phrases: the crops are then merely less unlike it than others are."""


@dataclass(frozen=True)
class NearPhrase:
    """A phrase and how well it fits: `score` in standard deviations above the other crops, `cosine` as the model gives it."""

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
    of_image: defaultdict[int, list[int]] = defaultdict(list)
    for element in sorted({element for row in library.exemplars for element, _ in row}):
        of_image[features.element_refs[element].image].append(element)
    batcher = Batcher(tower, default_batch_size(tower))
    found: dict[int, Tensor] = {}
    for done, (image, elements) in enumerate(sorted(of_image.items()), start=1):
        crops = element_crops(load_image(images.train[image].path), [features.element_refs[element] for element in elements])
        pixels = np.stack([tower.transform.whole_pixels(crop) for crop in crops])
        found.update(zip(elements, normalize(batcher.embed(pixels).cpu(), dim=1), strict=True))
        progress(done, len(of_image))
    return found


def name_concepts(library: ConceptLibrary, crops: dict[int, Tensor], embeddings: PhraseEmbeddings) -> list[ConceptName | None]:
    """The nearest phrases of each concept that crops show; None for text concepts, which have theirs, and for bare directions.

    A phrase's cosines are standardised over all crops shown first, since some phrases are near to every image. The score of a phrase
    is its mean over the concept's crops. Phrases that say nearly the same are one phrase, or each would deny the other its margin.

    Parameters
    ----------
    crops : unit image embeddings (e,) by element, as `embed_exemplars` gives them
    """
    phrases = _distinct(embeddings)
    elements = sorted(crops)
    place_of = {element: place for place, element in enumerate(elements)}
    cosines = torch.stack([crops[element] for element in elements]).double() @ phrases.vectors.double().T
    spread = cosines.std(dim=0, correction=0)
    scores = torch.where(spread > 1e-9, (cosines - cosines.mean(dim=0)) / spread.clamp_min(1e-12), torch.zeros_like(cosines))
    names: list[ConceptName | None] = []
    for origin, exemplars in zip(library.origins, library.exemplars, strict=True):
        places = [place_of[element] for element, _ in exemplars]
        if origin == "text" or not places:
            names.append(None)
        else:
            names.append(_name(scores[places].mean(dim=0), cosines[places].mean(dim=0), phrases))
    return names


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
    kept, _ = clean(embeddings.phrases)
    wanted = {id(phrase) for phrase in kept}
    places = [place for place, phrase in enumerate(embeddings.phrases) if id(phrase) in wanted]
    without_classes = embeddings.only(places, classes=False)
    return without_classes.only(drop_near(without_classes)[0])


def _name(score: Tensor, cosine: Tensor, phrases: PhraseEmbeddings) -> ConceptName:
    order = score.argsort(descending=True, stable=True)[:NAMES_PER_CONCEPT].tolist()
    nearest = tuple(NearPhrase(phrases.phrases[i].text, round(float(score[i]), 4), round(float(cosine[i]), 4)) for i in order)
    best = float(score[order[0]])
    second = float(score[order[1]]) if len(order) > 1 else 0.0
    likely = float(cosine[order[0]]) >= float(cosine.mean())
    return ConceptName(nearest, round(best - second, 4), named=likely and best >= LEAST_SCORE and best - second >= LEAST_MARGIN)
