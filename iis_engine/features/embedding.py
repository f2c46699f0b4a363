"""Run a backbone on decoded pixels in batches that fit into memory, and collect the features of a shard."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.batching import Batches
from iis_engine.features.decoding import DecodedImages
from iis_engine.features.feature_set import Box
from iis_engine.features.shards import Shard, ShardPlan

CHUNK_IMAGES = 16
"""Images that one thread decodes at a time."""
_BATCH_PIXELS = {"cpu": 32 * 224 * 224, "cuda": 256 * 224 * 224}
_BATCH_IMAGES_MAX = {"cpu": 256, "cuda": 2048}
_DECODE_THREADS_MAX = 16


class BatchEmbedder:
    """Compute f of decoded pixels in batches of at most `size` images."""

    def __init__(self, backbone: Backbone, size: int) -> None:
        self.backbone = backbone
        self._batches = Batches(size, "Not even one image fits into memory with this network; choose a smaller network or input size.")

    @property
    def size(self) -> int:
        """Current batch size."""
        return self._batches.size

    def embed(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Compute f of (n, H, W, channels) pixels -> (n, d) float32 on the backbone's device.

        Raises
        ------
        OutOfMemory
            If not even one image fits into memory.
        """
        return torch.cat(list(self._batches.each(lambda rows: self._embed_batch(pixels[rows]), len(pixels))))

    def _embed_batch(self, pixels: NDArray[np.uint8]) -> Tensor:
        batch = torch.from_numpy(pixels)
        if self.backbone.device.type == "cuda":
            batch = batch.pin_memory().to(self.backbone.device, non_blocking=True)
        return self.backbone.embed(self.backbone.transform.normalize(batch))


def default_batch_size(backbone: Backbone) -> int:
    """Return the images per forward pass that make a batch of about as many pixels at every input size."""
    height, width = backbone.input_size
    device = backbone.device.type
    return max(1, min(_BATCH_IMAGES_MAX[device], _BATCH_PIXELS[device] // (height * width)))


def default_decode_threads(backbone: Backbone) -> int:
    """Return all cores for a network on a GPU, half of its threads for a network on the CPU; at most 16."""
    threads = (os.cpu_count() or 1) if backbone.device.type == "cuda" else torch.get_num_threads() // 2
    return max(1, min(_DECODE_THREADS_MAX, threads))


def prefetch_depth(threads: int, embedder: BatchEmbedder) -> int:
    """Return the chunks to decode ahead: one per thread and two batches."""
    return threads + 2 * max(1, embedder.size // CHUNK_IMAGES)


def split_chunks(planned: ShardPlan) -> list[Sequence[int]]:
    """Split a shard's images into the chunks that one thread decodes at a time."""
    step = 1 if planned.part == "elements" else CHUNK_IMAGES
    return [planned.images[start : start + step] for start in range(0, len(planned.images), step)]


def compute_shard(
    embedder: BatchEmbedder, chunks: Iterable[DecodedImages], report_done: Callable[[int], None], done: int
) -> tuple[Shard, int]:
    """Compute the features of a shard from its decoded chunks.

    Parameters
    ----------
    report_done : called after each batch with the work done so far
    done : work done before this shard

    Returns
    -------
    shard : the shard
    done : work done, this shard included
    """
    rows, boxes, kinds, failures, features = list[int](), list[Box](), list[str](), list[str](), list[Tensor]()
    pending, pending_count = list[NDArray[np.uint8]](), 0

    def embed_pending() -> None:
        nonlocal pending, pending_count
        if pending_count:
            features.append(embedder.embed(np.concatenate(pending)))
            pending, pending_count = [], 0

    for chunk in chunks:
        if pending_count + len(chunk.rows) > embedder.size:
            embed_pending()
            report_done(done)
        rows += chunk.rows
        boxes += chunk.boxes
        kinds += chunk.kinds
        failures += chunk.failures
        pending.append(chunk.pixels)
        pending_count += len(chunk.rows)
        done += chunk.work_done
    embed_pending()
    report_done(done)
    matrix = torch.cat(features).cpu() if features else torch.empty(0, embedder.backbone.num_features)
    return Shard(matrix, tuple(rows), tuple(boxes), tuple(kinds), tuple(failures)), done
