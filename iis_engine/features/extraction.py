"""f over a data set: decoding beside computing, in shards that outlive an interruption. What f is, is decided in backbones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.batching import Batches
from iis_engine.data.datasets import CORRUPT_SHARE_MAX, ImageDataset, LabelledImage, too_many_corrupt
from iis_engine.errors import DataError
from iis_engine.features.decoding import Decoded, computed_ahead, decode_elements, decode_images
from iis_engine.features.elements import ELEMENTS_PER_IMAGE_MAX, Box, choose_source_images, element_kind_name
from iis_engine.features.feature_set import ElementRef, FeatureSet
from iis_engine.features.shards import Part, Shard, ShardPlan, plan_shards, read_shard, write_shard
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.specs import ElementSpec

SHARD_IMAGES = 4096
CHUNK_IMAGES = 16
BATCH_PIXELS = {"cpu": 32 * 224 * 224, "cuda": 256 * 224 * 224}
BATCH_IMAGES_MAX = {"cpu": 256, "cuda": 2048}


class Batcher:
    """Runs the backbone on decoded pixels, in batches that fit."""

    def __init__(self, backbone: Backbone, size: int) -> None:
        self.backbone = backbone
        self._batches = Batches(size, "Not even one image fits into memory with this network; choose a smaller network or input size.")

    @property
    def size(self) -> int:
        return self._batches.size

    def embed(self, pixels: NDArray[np.uint8]) -> Tensor:
        """f of (n, H, W, channels) pixels: (n, d) float32 on the backbone's device."""
        return torch.cat(list(self._batches.each(lambda rows: self._embed_once(pixels[rows]), len(pixels))))

    def _embed_once(self, pixels: NDArray[np.uint8]) -> Tensor:
        batch = torch.from_numpy(pixels)
        if self.backbone.device.type == "cuda":
            batch = batch.pin_memory().to(self.backbone.device, non_blocking=True)
        return self.backbone.embed(self.backbone.transform.normalize(batch))


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
    """f of both splits and of the visual elements.

    Finished shards in `shard_folder` are taken as they are if they were made by the same backbone from the same data; an interrupted run
    loses at most one shard.

    Parameters
    ----------
    elements : how visual elements are cut from the training images; None for none.
    progress : called with images and elements done, and their number (for segments, the most there can be).
    batch_size : images per forward pass, by default fitted to the input size and device; halved whenever memory runs out.

    Returns
    -------
    FeatureSet
        Rows in the data set's order, less images that could not be decoded; elements in an order shuffled by `elements.seed`.
        `ElementRef.image` is an index into `dataset.train`.

    Raises
    ------
    OutOfMemory
        If not even one image fits.
    DataError
        If more than 1 % of the images cannot be decoded, or an image's representation is not finite.
    """
    sources = [] if elements is None else choose_source_images(dataset, elements)
    plan = plan_shards(backbone.digest, dataset, elements, sources, shard_size)
    per_source = 0 if elements is None else ELEMENTS_PER_IMAGE_MAX[elements.kind]
    total = len(dataset.train) + len(dataset.test) + per_source * len(sources)
    weight = {"train": 1, "test": 1, "elements": per_source}
    finished = {planned: shard for planned in plan if (shard := read_shard(shard_folder, planned)) is not None}
    done = sum(weight[planned.part] * len(planned.images) for planned in finished)
    progress(done, total)
    shard_folder.mkdir(parents=True, exist_ok=True)
    batcher = Batcher(backbone, batch_size or default_batch_size(backbone))

    def decode(task: tuple[ShardPlan, Sequence[int]]) -> Decoded:
        planned, rows = task
        if planned.part == "elements" and elements is not None:
            return decode_elements(backbone, dataset, elements, rows)
        return decode_images(backbone, dataset.train if planned.part == "train" else dataset.test, rows)

    pending = [planned for planned in plan if planned not in finished]
    tasks = [(planned, rows) for planned in pending for rows in chunks_of(planned)]
    threads = decode_threads or default_decode_threads(backbone)
    image_count = len(dataset.train) + len(dataset.test)
    with computed_ahead(tasks, decode, threads, ahead=threads + 2 * max(1, batcher.size // CHUNK_IMAGES)) as stream:
        for planned in pending:
            chunks = islice(stream, len(chunks_of(planned)))
            shard, done = compute_shard(batcher, planned, chunks, lambda done: progress(min(done, total), total), done)
            _require_finite(shard, planned, dataset)
            write_shard(shard_folder, planned, shard)
            finished[planned] = shard
            _require_readable(finished, image_count)
    return _assemble(dataset, elements, [(planned, finished[planned]) for planned in plan], backbone.num_features)


def default_batch_size(backbone: Backbone) -> int:
    """Images per forward pass, so that a batch has about as many pixels whatever the input size."""
    height, width = backbone.input_size
    kind = backbone.device.type
    return max(1, min(BATCH_IMAGES_MAX[kind], BATCH_PIXELS[kind] // (height * width)))


def default_decode_threads(backbone: Backbone) -> int:
    """All cores beside a GPU; half of them where the network computes on the same ones, or the two slow each other down."""
    cores = os.cpu_count() or 1
    return max(1, min(16, cores if backbone.device.type == "cuda" else cores // 2))


def chunks_of(planned: ShardPlan) -> list[Sequence[int]]:
    """A shard's images in the portions that one thread decodes."""
    step = 1 if planned.part == "elements" else CHUNK_IMAGES
    return [planned.images[start : start + step] for start in range(0, len(planned.images), step)]


def compute_shard(
    batcher: Batcher, planned: ShardPlan, chunks: Iterable[Decoded], report: Callable[[int], None], done: int
) -> tuple[Shard, int]:
    """The shard that decoded chunks make, and how much is done with it; `report` is told after each batch."""
    rows, boxes, failures, features = list[int](), list[Box](), list[str](), list[Tensor]()
    waiting, waiting_count = list[NDArray[np.uint8]](), 0

    def flush() -> None:
        nonlocal waiting, waiting_count
        if waiting_count:
            features.append(batcher.embed(np.concatenate(waiting)))
            waiting, waiting_count = [], 0

    for chunk in chunks:
        if waiting_count + len(chunk.rows) > batcher.size:
            flush()
            report(done)
        rows += chunk.rows
        boxes += chunk.boxes
        failures += chunk.failures
        waiting.append(chunk.pixels)
        waiting_count += len(chunk.rows)
        done += chunk.work_done
    flush()
    report(done)
    width = batcher.backbone.num_features
    matrix = torch.cat(features).cpu() if features else torch.empty(0, width)
    return Shard(matrix, tuple(rows), tuple(boxes), tuple(failures)), done


def _require_finite(shard: Shard, planned: ShardPlan, dataset: ImageDataset) -> None:
    bad = (~torch.isfinite(shard.features).all(1)).nonzero().flatten().tolist()
    if bad:
        images = dataset.test if planned.part == "test" else dataset.train
        name = images[shard.rows[bad[0]]].path.name
        raise DataError(
            f"The representation of {name} and {len(bad) - 1} more images is not finite; the network overflows on them.",
            code="representation_not_finite",
        )


def _require_readable(finished: dict[ShardPlan, Shard], image_count: int) -> None:
    failures = [name for shard in finished.values() for name in shard.failures]
    if len(failures) > CORRUPT_SHARE_MAX * image_count:
        raise too_many_corrupt(failures, image_count)


def _assemble(dataset: ImageDataset, spec: ElementSpec | None, shards: list[tuple[ShardPlan, Shard]], num_features: int) -> FeatureSet:
    def part(name: Part) -> list[Shard]:
        return [shard for planned, shard in shards if planned.part == name]

    def features(name: Part) -> Tensor:
        return torch.cat([shard.features for shard in part(name)] or [torch.empty(0, num_features)])

    def rows(name: Part) -> Tensor:
        return torch.tensor([row for shard in part(name) for row in shard.rows], dtype=torch.int64)

    def labels(name: Part, images: tuple[LabelledImage, ...]) -> Tensor:
        return torch.tensor([images[row].label for row in rows(name).tolist()], dtype=torch.int64)

    elements, refs = None, tuple[ElementRef, ...]()
    if spec is not None:
        kind = element_kind_name(spec.kind)
        ordered = [ElementRef(row, box, kind) for shard in part("elements") for row, box in zip(shard.rows, shard.boxes, strict=True)]
        shuffled = np.random.default_rng(spec.seed).permutation(len(ordered))
        elements = features("elements")[torch.from_numpy(shuffled)]
        refs = tuple(ordered[index] for index in shuffled)
    failures = [name for _, shard in shards for name in shard.failures]
    warnings = dataset.warnings
    if failures:
        warnings = (*warnings, f"{len(failures)} images could not be decoded and were left out: {', '.join(failures[:5])}.")
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
    )
