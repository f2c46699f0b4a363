"""Concepts of a scored library with crops, names and metrics, as a sequence that shows itself as a gallery."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from PIL import Image
from torch.nn.functional import normalize

from iis_engine.display.explanations import concept_title
from iis_engine.display.frames import frame
from iis_engine.display.markup import QUIET, card, element, picture, text
from iis_engine.explanations.heatmaps import png_bytes
from iis_engine.features.elements import element_crops
from iis_engine.features.embedding import BatchEmbedder, default_batch_size
from iis_engine.interpretation.features import EmbeddedElements
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.naming import ConceptName, name_concepts
from iis_engine.panel.concept_metrics import ConceptMetrics
from iis_engine.vision_language.model import VisionLanguageModel
from iis_engine.vision_language.phrase_embeddings import embed_phrases
from iis_engine.vocabularies.phrases import Phrase

GALLERY_CONCEPTS = 12
CROP_PIXELS = 48


@dataclass(frozen=True)
class Concept:
    """One concept of a library.

    Attributes
    ----------
    concept : index in the library
    label : name, where one was found
    origin : kind of its library
    importance : mean magnitude of its contribution to the predicted class over the test images
    metrics : firing rate, class purity, MonoScore and nearest concept
    crops : the visual elements nearest to it, best first; empty for random directions
    """

    concept: int
    label: str | None
    origin: str
    importance: float
    metrics: ConceptMetrics
    crops: tuple[Image.Image, ...]

    @property
    def title(self) -> str:
        """The name, or library and number, such as `cluster 7`."""
        return concept_title({"label": self.label, "origin": self.origin, "concept": self.concept})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values, without the crops."""
        described = {"concept": self.concept, "label": self.label, "origin": self.origin, "importance": self.importance}
        return described | self.metrics.to_dict()

    def _repr_html_(self) -> str:
        return card(_tile(self))


class Concepts(Sequence[Concept]):
    """The concepts of a library in its order, shown as a gallery of the most important ones."""

    def __init__(self, concepts: Iterable[Concept]) -> None:
        self._concepts = tuple(concepts)

    @overload
    def __getitem__(self, index: int) -> Concept: ...

    @overload
    def __getitem__(self, index: slice) -> Concepts: ...

    def __getitem__(self, index: int | slice) -> Concept | Concepts:
        return Concepts(self._concepts[index]) if isinstance(index, slice) else self._concepts[index]

    def __len__(self) -> int:
        return len(self._concepts)

    def by_importance(self) -> Concepts:
        """The concepts with the most important one first."""
        return Concepts(sorted(self._concepts, key=lambda concept: (-concept.importance, concept.concept)))

    def to_dict(self) -> list[dict[str, Any]]:
        """Plain JSON-serialisable values of each concept, without the crops."""
        return [concept.to_dict() for concept in self._concepts]

    def to_frame(self) -> Any:
        """A pandas.DataFrame with one row per concept."""
        return frame(self.to_dict())

    def gallery(self, count: int = GALLERY_CONCEPTS) -> str:
        """HTML of the `count` most important concepts."""
        shown = self.by_importance()[:count]
        title = text(f"{len(shown)} most important of {len(self)} concepts" if len(shown) < len(self) else f"{len(self)} concepts")
        tiles = element("div", *map(_tile, shown), style="display: flex; flex-wrap: wrap; gap: .5em 1em")
        return element("div", element("b", title), tiles, style="margin: .5em 0")

    def _repr_html_(self) -> str:
        return card(self.gallery())

    def __repr__(self) -> str:
        first = ", ".join(concept.title for concept in self.by_importance()[:3])
        return f"<{len(self)} concepts, most important: {first}>"


def exemplar_pictures(library: ConceptLibrary, elements: EmbeddedElements) -> dict[int, Image.Image]:
    """The crops of all exemplars of a library, by element; each source image is cut once."""
    by_image: defaultdict[int, list[int]] = defaultdict(list)
    for index in sorted({index for row in library.exemplars for index, _ in row}):
        by_image[elements.refs[index].image].append(index)
    crops: dict[int, Image.Image] = {}
    for image, members in by_image.items():
        found = element_crops(elements.pictures[image], [elements.refs[index] for index in members])
        crops.update(zip(members, found, strict=True))
    return crops


def find_names(
    library: ConceptLibrary, crops: Mapping[int, Image.Image], vlm: VisionLanguageModel, vocabulary: Sequence[Phrase]
) -> list[ConceptName | None]:
    """The nearest phrases of each concept, by the embeddings of its crops; None for a concept without crops."""
    tower = vlm.images
    embedder = BatchEmbedder(tower, default_batch_size(tower))
    pixels = np.stack([tower.transform.uncropped_pixels(crop) for crop in crops.values()])
    embeddings = normalize(embedder.embed(pixels).cpu(), dim=1)
    return name_concepts(library, dict(zip(crops, embeddings, strict=True)), embed_phrases(vlm, vocabulary))


def describe_concepts(
    library: ConceptLibrary,
    crops: Mapping[int, Image.Image],
    names: Sequence[ConceptName | None] | None,
    metrics: Sequence[ConceptMetrics],
    importances: Sequence[float],
) -> Concepts:
    """Join what is known of each concept."""
    return Concepts(
        Concept(
            concept=number,
            label=None if names is None or (name := names[number]) is None else name.label,
            origin=library.origins[number],
            importance=importances[number],
            metrics=metrics[number],
            crops=tuple(crops[index] for index, _ in library.exemplars[number] if index in crops),
        )
        for number in range(len(library))
    )


def _tile(concept: Concept) -> str:
    crops = "".join(picture(png_bytes(_thumbnail(crop)), concept.title, CROP_PIXELS) for crop in concept.crops)
    metrics = concept.metrics
    facts = f"{metrics.class_purity:.0%} {metrics.top_class} among its top images; kept in {metrics.firing_rate:.0%} of test images"
    return element("div", element("div", text(concept.title)), element("div", crops), element("div", text(facts), style=QUIET))


def _thumbnail(crop: Image.Image) -> Image.Image:
    """The crop at the height that is shown at twice the density; small crops are enlarged."""
    scale = 2 * CROP_PIXELS / max(crop.size)
    return crop.resize((max(1, round(crop.width * scale)), max(1, round(crop.height * scale))))
