"""Extract features f of a labelled data set and of its visual elements, in shards that survive an interruption."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iis_engine.backbones.backbone import Backbone
from iis_engine.data.datasets import CORRUPT_SHARE_MAX, too_many_corrupt
from iis_engine.data.image_dataset import ImageDataset, LabelledImage, LabelSets
from iis_engine.errors import DataError, first_names
from iis_engine.features.decoding import DecodedImages, decode_elements, decode_images
from iis_engine.features.elements import choose_source_images
from iis_engine.features.embedding import (
    CHUNK_IMAGES,
    BatchEmbedder,
    compute_shard,
    default_batch_size,
    default_decode_threads,
    prefetch_depth,
    split_chunks,
)
from iis_engine.features.feature_set import ElementRef, FeatureSet
from iis_engine.features.label_matrices import checked_label_matrices, label_matrix_of, rarest_labels_of_splits
from iis_engine.features.prefetching import prefetch
from iis_engine.features.shards import Part, Shard, ShardPlan, plan_shards, read_failures, require_shard, write_shard
from iis_engine.notes import notes_of_inputs
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.specs import ElementSpec

SHARD_IMAGES = 4096
"""The largest number of images in a shard."""
_BATCHES_PER_SHARD = {"cpu": 2, "cuda": 16}  # some seconds, so that several workers share even a few hundred images


def extract_features(
    backbone: Backbone,
    dataset: ImageDataset,
    elements: ElementSpec | None,
    *,
    shard_folder: Path,
    progress: ProgressCallback = no_progress,
    batch_size: int | None = None,
    shard_size: int | None = None,
    decode_threads: int | None = None,
) -> FeatureSet:
    """Compute f of both splits and of the visual elements.

    Finished shards in `shard_folder` are reused if they were computed by the same backbone from the same data; an interrupted run loses
    at most one shard.

    Parameters
    ----------
    elements : cutting of visual elements from the training images; None for no elements
    shard_folder : folder of the shards; created if missing
    progress : called with (images and elements done, their number); for segments the number is the largest possible one
    batch_size : images per forward pass, by default chosen by input size and device; halved whenever memory runs out
    shard_size : images per shard, by default `default_shard_size`
    decode_threads : threads that decode images, by default chosen by device

    Returns
    -------
    FeatureSet
        Rows in the data set's order, without images that could not be decoded; elements in an order shuffled by `elements.seed`.
        `ElementRef.image` is an index into `dataset.train`.

    Raises
    ------
    OutOfMemory
        If not even one image fits into memory.
    DataError
        If more than 1 % of the images cannot be decoded, or an image's representation is not finite.
    """
    extraction = Extraction(
        backbone, dataset, elements, shard_folder=shard_folder, batch_size=batch_size, shard_size=shard_size, decode_threads=decode_threads
    )
    extraction.compute(progress=progress)
    return extraction.assemble()


def default_shard_size(backbone: Backbone) -> int:
    """Return the images per shard: a fixed number of whole batches, so that a shard takes about as long at every input size."""
    batch = max(CHUNK_IMAGES, default_batch_size(backbone) // CHUNK_IMAGES * CHUNK_IMAGES)
    return min(SHARD_IMAGES, _BATCHES_PER_SHARD[backbone.device.type] * batch)


class Extraction:
    """The shards of one data set's features: several processes may compute some each; the numbers are those of one process.

    Parameters as in `extract_features`.
    """

    def __init__(
        self,
        backbone: Backbone,
        dataset: ImageDataset,
        elements: ElementSpec | None,
        *,
        shard_folder: Path,
        batch_size: int | None = None,
        shard_size: int | None = None,
        decode_threads: int | None = None,
    ) -> None:
        self.backbone = backbone
        self._dataset = dataset
        self._elements = elements
        self._shard_folder = shard_folder
        self._batch_size = batch_size or default_batch_size(backbone)
        self._decode_threads = decode_threads or default_decode_threads(backbone)
        sources = [] if elements is None else choose_source_images(dataset, elements)
        self.shard_size = shard_size or default_shard_size(backbone)
        self.plan = plan_shards(backbone.digest, dataset, elements, sources, self.shard_size)
        per_source = 0 if elements is None else elements.elements_per_image_max
        self._units: dict[Part, int] = {"train": 1, "test": 1, "elements": per_source}

    def units(self, planned: ShardPlan) -> int:
        """Images of a shard, or its largest possible number of elements."""
        return self._units[planned.part] * len(planned.images)

    def missing(self) -> list[ShardPlan]:
        """Shards that are not in the folder."""
        return [planned for planned in self.plan if read_failures(self._shard_folder, planned) is None]

    def compute(self, names: Collection[str] | None = None, *, progress: ProgressCallback = no_progress) -> None:
        """Write the shards that are not in the folder, all or those with these file names.

        Parameters
        ----------
        progress : called with (images and elements done, their number), of the named shards

        Raises
        ------
        OutOfMemory
            As `extract_features` does.
        DataError
            If an image's representation is not finite.
        """
        chosen = [planned for planned in self.plan if names is None or planned.file_name in names]
        total = sum(self.units(planned) for planned in chosen)
        self._shard_folder.mkdir(parents=True, exist_ok=True)
        pending = [planned for planned in chosen if read_failures(self._shard_folder, planned) is None]
        done = total - sum(self.units(planned) for planned in pending)
        progress(done, total)
        embedder = BatchEmbedder(self.backbone, self._batch_size)
        tasks = [(planned, rows) for planned in pending for rows in split_chunks(planned)]
        with prefetch(tasks, self._decode, self._decode_threads, prefetch_depth(self._decode_threads, embedder)) as decoded:
            for planned in pending:
                chunks = islice(decoded, len(split_chunks(planned)))
                shard, done = compute_shard(embedder, chunks, lambda done: progress(min(done, total), total), done)
                _require_finite(shard, planned, self._dataset)
                write_shard(self._shard_folder, planned, shard)

    def assemble(self) -> FeatureSet:
        """Join all shards, which must be in the folder.

        Raises
        ------
        DataError
            If more than 1 % of the images could not be decoded, whichever processes computed the shards; for multi-label data also if
            a label has no training image with or without it among the images that remain.
        """
        shards = [(planned, require_shard(self._shard_folder, planned)) for planned in self.plan]
        self._require_readable([name for _, shard in shards for name in shard.failures])
        return _assemble(self._dataset, self._elements, shards, self.backbone)

    def _decode(self, task: tuple[ShardPlan, Sequence[int]]) -> DecodedImages:
        (planned, rows), dataset = task, self._dataset
        if planned.part == "elements" and self._elements is not None:
            return decode_elements(self.backbone, dataset, self._elements, rows)
        return decode_images(self.backbone, dataset.train if planned.part == "train" else dataset.test, rows, dataset.grey_bits)

    def _require_readable(self, failures: Sequence[str]) -> None:
        image_count = len(self._dataset.train) + len(self._dataset.test)
        if len(failures) > CORRUPT_SHARE_MAX * image_count:
            raise too_many_corrupt(failures, image_count)


def _require_finite(shard: Shard, planned: ShardPlan, dataset: ImageDataset) -> None:
    invalid = (~torch.isfinite(shard.features).all(1)).nonzero().flatten().tolist()
    if invalid:
        images = dataset.test if planned.part == "test" else dataset.train
        name = images[shard.rows[invalid[0]]].path.name
        raise DataError(
            f"The representation of {name} and {len(invalid) - 1} more images is not finite: the network overflows. "
            "Remove these images or use other weights.",
            code="representation_not_finite",
        )


def _assemble(dataset: ImageDataset, spec: ElementSpec | None, shards: list[tuple[ShardPlan, Shard]], backbone: Backbone) -> FeatureSet:
    def part(name: Part) -> list[Shard]:
        return [shard for planned, shard in shards if planned.part == name]

    def features(name: Part) -> Tensor:
        return torch.cat([shard.features for shard in part(name)] or [torch.empty(0, backbone.num_features)])

    def rows(name: Part) -> Tensor:
        return torch.tensor([row for shard in part(name) for row in shard.rows], dtype=torch.int64)

    def labels(name: Part, images: tuple[LabelledImage, ...]) -> Tensor:
        return torch.tensor([images[row].label for row in rows(name).tolist()], dtype=torch.int64)

    def label_matrix(name: Part, sets: LabelSets) -> NDArray[np.uint8]:
        return label_matrix_of([sets[row] for row in rows(name).tolist()], len(dataset.class_names)).numpy()

    elements, refs = None, tuple[ElementRef, ...]()
    if spec is not None:
        ordered = [
            ElementRef(row, box, kind)
            for shard in part("elements")
            for row, box, kind in zip(shard.rows, shard.boxes, shard.kinds, strict=True)
        ]
        shuffled = np.random.default_rng(spec.seed).permutation(len(ordered))
        elements = features("elements")[torch.from_numpy(shuffled)]
        refs = tuple(ordered[index] for index in shuffled)
    failures = [name for _, shard in shards for name in shard.failures]
    warnings = dataset.warnings
    if failures:
        warnings = (*warnings, f"{len(failures)} images could not be decoded and were left out: {first_names(failures)}.")
    y_train, y_test = labels("train", dataset.train), labels("test", dataset.test)
    labels_train, labels_test = None, None
    if dataset.train_labels is not None and dataset.test_labels is not None:
        matrices = label_matrix("train", dataset.train_labels), label_matrix("test", dataset.test_labels)
        labels_train, labels_test, found = checked_label_matrices(*matrices, dataset.class_names)
        y_train, y_test = rarest_labels_of_splits(labels_train, labels_test)
        warnings = tuple(dict.fromkeys((*warnings, *found)))
    return FeatureSet(
        features("train"),
        y_train,
        features("test"),
        y_test,
        dataset.class_names,
        elements,
        refs,
        warnings,
        rows("train"),
        rows("test"),
        notes_of_inputs([("Model", backbone.notes), ("Data set", dataset.notes)]),
        labels_train,
        labels_test,
    )
