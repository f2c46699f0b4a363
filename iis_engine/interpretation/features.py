"""Compute representations of labelled images in one pass, and of visual elements cut from some training images."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.batching import Batches
from iis_engine.data.class_names import bounded_warnings, require_bounded_names
from iis_engine.data.datasets import imbalance
from iis_engine.data.splits import seeded_rank
from iis_engine.errors import DataError, first_names
from iis_engine.features.elements import cut_elements
from iis_engine.features.embedding import BatchEmbedder, default_batch_size
from iis_engine.features.feature_set import ElementRef, FeatureSet
from iis_engine.interpretation.image_preprocessing import ImagePreprocessing
from iis_engine.interpretation.labelled_images import ClassKey, LabelledPicture
from iis_engine.notes import Notes
from iis_engine.progress import ProgressCallback
from iis_engine.specs import ElementSpec


@dataclass(frozen=True)
class EmbeddedImages:
    """The images of one split.

    Attributes
    ----------
    X : (n, d) float32
    labels : n classes
    digests : n sha256 of the images
    """

    X: Tensor
    labels: tuple[ClassKey, ...]
    digests: tuple[str, ...]


@dataclass(frozen=True)
class EmbeddedElements:
    """Visual elements, in the order of `FeatureSet.elements`.

    Attributes
    ----------
    features : (E, d) float32
    refs : their places; `ElementRef.image` is a row of the training split
    pictures : the training images that elements were cut from, by row
    """

    features: Tensor
    refs: tuple[ElementRef, ...]
    pictures: dict[int, Image.Image]


def embed_images(
    backbone: Backbone,
    preprocessing: ImagePreprocessing,
    images: Iterable[LabelledPicture],
    count: int | None,
    progress: ProgressCallback,
    sources: SourceImages | None = None,
) -> EmbeddedImages:
    """Compute f of all images.

    Parameters
    ----------
    count : the number of images, for the progress; None if unknown
    sources : collects the images to cut elements from; None for test images

    Raises
    ------
    DataError
        When there is no image, or a representation is not finite.
    OutOfMemory
        When not even one image fits into memory.
    """
    batches = Batches(default_batch_size(backbone), "Not even one image fits into memory with this network; choose a smaller one.")
    features, labels, digests, pending = list[Tensor](), list[ClassKey](), list[str](), list[Tensor]()

    def embed_pending() -> None:
        stacked = torch.stack(pending)
        features.extend(part.cpu() for part in batches.each(lambda rows: backbone.embed(stacked[rows]), len(stacked)))
        pending.clear()

    for row, item in enumerate(images):
        pending.append(preprocessing.network_input(item.image))
        labels.append(item.label)
        digests.append(item.digest)
        if sources is not None:
            sources.offer(row, item)
        if len(pending) >= batches.size:
            embed_pending()
            progress(row + 1, max(count or 0, row + 1))
    if pending:
        embed_pending()
    if not labels:
        raise DataError("The source has no images.")
    progress(len(labels), len(labels))
    X = torch.cat(features)
    if (invalid := int((~torch.isfinite(X).all(1)).sum())) > 0:
        raise DataError(
            f"The representations of {invalid} of {len(X)} images are not finite: the network overflows on them.",
            code="representation_not_finite",
        )
    return EmbeddedImages(X, tuple(labels), tuple(digests))


class SourceImages:
    """The images to cut elements from: `images_of_each_class` of each class, chosen by seed and content, whatever their order."""

    def __init__(self, spec: ElementSpec, preprocessing: ImagePreprocessing) -> None:
        self.spec = spec
        self._preprocessing = preprocessing
        self._chosen: defaultdict[ClassKey, list[tuple[_Descending, int, Image.Image]]] = defaultdict(list)

    def offer(self, row: int, item: LabelledPicture) -> None:
        """Keep the picture of an image if it is among those chosen so far; drop the one that it replaces."""
        is_new_class = item.label not in self._chosen
        chosen, rank = self._chosen[item.label], _Descending(seeded_rank(self.spec.seed, f"element {item.digest}"))
        wanted = self.spec.images_of_each_class(len(self._chosen))
        if len(chosen) < wanted:
            heapq.heappush(chosen, (rank, -row, self._preprocessing.picture(item.image)))
        elif chosen[0][:2] < (rank, -row):
            heapq.heapreplace(chosen, (rank, -row, self._preprocessing.picture(item.image)))
        if is_new_class:  # the more classes, the fewer images of each
            for pictures in self._chosen.values():
                while len(pictures) > wanted:
                    heapq.heappop(pictures)

    def pictures(self) -> dict[int, Image.Image]:
        """The chosen pictures by row, class by class in the order of choice."""
        return {-row: picture for label in sorted(self._chosen) for _, row, picture in sorted(self._chosen[label], reverse=True)}


@dataclass(frozen=True)
class _Descending:
    """A text in reversed order, so that the heap's first entry is the last one chosen."""

    text: str

    def __lt__(self, other: _Descending) -> bool:
        return self.text > other.text


def embed_elements(backbone: Backbone, sources: SourceImages, progress: ProgressCallback) -> EmbeddedElements:
    """Cut the elements of the source images, resize each to the network's input without cropping, and compute f."""
    embedder = BatchEmbedder(backbone, default_batch_size(backbone))
    pictures, features, refs = sources.pictures(), list[Tensor](), list[ElementRef]()
    for done, (row, picture) in enumerate(pictures.items(), start=1):
        elements = cut_elements(picture, sources.spec)
        pixels = np.stack([backbone.transform.uncropped_pixels(element.crop) for element in elements])
        features.append(embedder.embed(pixels).cpu())
        refs.extend(ElementRef(row, element.box, element.kind) for element in elements)
        progress(done, len(pictures))
    shuffled = np.random.default_rng(sources.spec.seed).permutation(len(refs))
    return EmbeddedElements(torch.cat(features)[torch.from_numpy(shuffled)], tuple(refs[index] for index in shuffled), pictures)


def combine_splits(
    train: EmbeddedImages, test: EmbeddedImages, elements: EmbeddedElements | None, warnings: Iterable[str], notes: Sequence[str]
) -> FeatureSet:
    """Join both splits and the elements into the features of a score, with labels 0..C-1 in the order of the training classes.

    Raises
    ------
    DataError
        For fewer than two classes, and where the splits have different classes.
    """
    classes = sorted(set(train.labels))
    names = tuple(key.name for key in classes)
    places = {name: place for place, name in enumerate(names)}
    require_bounded_names(names)
    if len(names) < 2:
        raise DataError(f"The training images have one class ({first_names(names)}); give images of two classes or more.")
    tested = {key.name for key in test.labels}
    if unknown := sorted(tested - set(names)):
        raise DataError(f"The test images have classes without training images: {first_names(unknown)}.", code="dataset_classes")
    if absent := [name for name in names if name not in tested]:
        raise DataError(f"{len(absent)} of {len(names)} classes have no test image: {first_names(absent)}.", code="dataset_classes")
    found = [*warnings, *imbalance(Counter(key.name for key in train.labels))]
    if shared := set(train.digests) & set(test.digests):
        found.append(f"{len(shared)} images of the test split are also in the train split, so accuracies are too high.")

    def labels(split: EmbeddedImages) -> Tensor:
        return torch.tensor([places[key.name] for key in split.labels], dtype=torch.int64)

    return FeatureSet(
        train.X,
        labels(train),
        test.X,
        labels(test),
        names,
        None if elements is None else elements.features,
        () if elements is None else elements.refs,
        bounded_warnings(Notes(found).sentences),
        torch.arange(len(train.X)),
        torch.arange(len(test.X)),
        Notes(notes).sentences,
    )


def peek(images: Iterator[LabelledPicture], count: int) -> list[LabelledPicture]:
    """Take up to `count` images from an iterator.

    Raises
    ------
    DataError
        When it has none.
    """
    taken = list(islice(images, count))
    if not taken:
        raise DataError("The source has no images.")
    return taken
