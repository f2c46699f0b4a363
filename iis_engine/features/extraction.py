"""Extract features f of a labelled data set and of its visual elements, in shards that survive an interruption."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from iis_engine.backbones.backbone import Backbone
from iis_engine.data.datasets import CORRUPT_SHARE_MAX, ImageDataset, LabelledImage, LabelSets, too_many_corrupt
from iis_engine.errors import DataError, first_names
from iis_engine.features.decoding import DecodedImages, decode_elements, decode_images
from iis_engine.features.elements import choose_source_images
from iis_engine.features.embedding import (
    BatchEmbedder,
    compute_shard,
    default_batch_size,
    default_decode_threads,
    prefetch_depth,
    split_chunks,
)
from iis_engine.features.feature_set import ElementRef, FeatureSet
from iis_engine.features.label_matrices import label_matrix_of
from iis_engine.features.prefetching import prefetch
from iis_engine.features.shards import Part, Shard, ShardPlan, plan_shards, read_shard, write_shard
from iis_engine.notes import notes_of_inputs
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.specs import ElementSpec

SHARD_IMAGES = 4096


def extract_features(
    backbone: Backbone,
    dataset: ImageDataset,
    elements: ElementSpec | None,
    *,
    shard_folder: Path,
    progress: ProgressCallback = no_progress,
    batch_size: int | None = None,
    shard_size: int = SHARD_IMAGES,
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
    shard_size : images per shard
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
    sources = [] if elements is None else choose_source_images(dataset, elements)
    plan = plan_shards(backbone.digest, dataset, elements, sources, shard_size)
    elements_per_source = 0 if elements is None else elements.elements_per_image_max
    total = len(dataset.train) + len(dataset.test) + elements_per_source * len(sources)
    units = {"train": 1, "test": 1, "elements": elements_per_source}
    finished = {planned: shard for planned in plan if (shard := read_shard(shard_folder, planned)) is not None}
    done = sum(units[planned.part] * len(planned.images) for planned in finished)
    progress(done, total)
    shard_folder.mkdir(parents=True, exist_ok=True)
    embedder = BatchEmbedder(backbone, batch_size or default_batch_size(backbone))

    def decode(task: tuple[ShardPlan, Sequence[int]]) -> DecodedImages:
        planned, rows = task
        if planned.part == "elements" and elements is not None:
            return decode_elements(backbone, dataset, elements, rows)
        return decode_images(backbone, dataset.train if planned.part == "train" else dataset.test, rows, dataset.grey_bits)

    pending = [planned for planned in plan if planned not in finished]
    tasks = [(planned, rows) for planned in pending for rows in split_chunks(planned)]
    threads = decode_threads or default_decode_threads(backbone)
    image_count = len(dataset.train) + len(dataset.test)
    with prefetch(tasks, decode, threads, prefetch_depth(threads, embedder)) as decoded:
        for planned in pending:
            chunks = islice(decoded, len(split_chunks(planned)))
            shard, done = compute_shard(embedder, chunks, lambda done: progress(min(done, total), total), done)
            _require_finite(shard, planned, dataset)
            write_shard(shard_folder, planned, shard)
            finished[planned] = shard
            _require_readable(finished, image_count)
    return _assemble(dataset, elements, [(planned, finished[planned]) for planned in plan], backbone)


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


def _require_readable(finished: dict[ShardPlan, Shard], image_count: int) -> None:
    failures = [name for shard in finished.values() for name in shard.failures]
    if len(failures) > CORRUPT_SHARE_MAX * image_count:
        raise too_many_corrupt(failures, image_count)


def _assemble(dataset: ImageDataset, spec: ElementSpec | None, shards: list[tuple[ShardPlan, Shard]], backbone: Backbone) -> FeatureSet:
    def part(name: Part) -> list[Shard]:
        return [shard for planned, shard in shards if planned.part == name]

    def features(name: Part) -> Tensor:
        return torch.cat([shard.features for shard in part(name)] or [torch.empty(0, backbone.num_features)])

    def rows(name: Part) -> Tensor:
        return torch.tensor([row for shard in part(name) for row in shard.rows], dtype=torch.int64)

    def labels(name: Part, images: tuple[LabelledImage, ...]) -> Tensor:
        return torch.tensor([images[row].label for row in rows(name).tolist()], dtype=torch.int64)

    def label_matrix(name: Part, sets: LabelSets | None) -> Tensor | None:
        return None if sets is None else label_matrix_of([sets[row] for row in rows(name).tolist()], len(dataset.class_names))

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
    return FeatureSet(
        features("train"),
        labels("train", dataset.train),
        features("test"),
        labels("test", dataset.test),
        dataset.class_names,
        elements,
        refs,
        warnings,
        rows("train"),
        rows("test"),
        notes_of_inputs([("Model", backbone.notes), ("Data set", dataset.notes)]),
        label_matrix("train", dataset.train_labels),
        label_matrix("test", dataset.test_labels),
    )
