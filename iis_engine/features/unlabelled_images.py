"""Images without labels: found in a folder, and f of each, in shards that outlive an interruption. What cannot be read is named."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.backbones.backbone import Backbone
from iis_engine.data.images import SUFFIXES, load_image
from iis_engine.errors import DataError
from iis_engine.features.decoding import Decoded, computed_ahead, stacked
from iis_engine.features.extraction import (
    CHUNK_IMAGES,
    SHARD_IMAGES,
    Batcher,
    chunks_of,
    compute_shard,
    default_batch_size,
    default_decode_threads,
)
from iis_engine.features.shards import Shard, ShardPlan, read_shard, write_shard
from iis_engine.progress import ProgressCallback, no_progress

NAMED_AT_MOST = 5


@dataclass(frozen=True)
class LooseImages:
    """f of the images of a folder.

    Attributes
    ----------
    names : of all n images, relative to the folder, in the order of names
    ignored : files that are no images by their names
    features : (k, d) float32 of those that could be read
    rows : (k,) int64, which image each is
    failures : of every other image the sentence why not
    """

    names: tuple[str, ...]
    ignored: tuple[str, ...]
    features: Tensor
    rows: Tensor
    failures: dict[int, str]

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        header = {"names": self.names, "ignored": self.ignored, "failures": self.failures}
        tensors = {"features": self.features.contiguous(), "rows": self.rows.contiguous()}
        save_file(tensors, path, metadata={"loose": json.dumps(header)})

    @staticmethod
    def load(path: Path) -> LooseImages:
        """Read a file written by `save`."""
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["loose"])
            features, rows = (file.get_tensor(name) for name in ("features", "rows"))
        failures = {int(row): reason for row, reason in header["failures"].items()}
        return LooseImages(tuple(header["names"]), tuple(header["ignored"]), features, rows, failures)


def find_images(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of images and of other files, in folders or not, sorted.

    Raises
    ------
    DataError
        When there is no image.
    """
    images, others = list[str](), list[str]()
    for inside, _, files in os.walk(folder):
        for file in files:
            name = (Path(inside) / file).relative_to(folder).as_posix()
            is_image = Path(file).suffix.lower() in SUFFIXES and not file.startswith(".")
            (images if is_image else others).append(name)
    if not images:
        raise DataError(
            f"The archive holds no images, only {_first(sorted(others))}; send {', '.join(sorted(SUFFIXES))}.", code="images_absent"
        )
    return tuple(sorted(images)), tuple(sorted(others))


def represent(
    backbone: Backbone,
    folder: Path,
    digest: str,
    *,
    shard_folder: Path,
    progress: ProgressCallback = no_progress,
    shard_size: int = SHARD_IMAGES,
) -> LooseImages:
    """f of every image in a folder.

    Finished shards in `shard_folder` are taken as they are if they were made by the same backbone from the same content.

    Parameters
    ----------
    digest : of the folder's content

    Raises
    ------
    OutOfMemory
        If not even one image fits.
    DataError
        If there is no image, or none can be read.
    """
    names, ignored = find_images(folder)
    starts = range(0, len(names), shard_size)
    plan = [_planned(backbone, digest, number, names, range(len(names))[start : start + shard_size]) for number, start in enumerate(starts)]
    shard_folder.mkdir(parents=True, exist_ok=True)
    finished = {planned: shard for planned in plan if (shard := read_shard(shard_folder, planned)) is not None}
    done = sum(len(planned.images) for planned in finished)
    progress(done, len(names))
    batcher = Batcher(backbone, default_batch_size(backbone))
    pending = [planned for planned in plan if planned not in finished]
    tasks = [rows for planned in pending for rows in chunks_of(planned)]
    threads = default_decode_threads(backbone)
    ahead = threads + 2 * max(1, batcher.size // CHUNK_IMAGES)
    with computed_ahead(tasks, lambda rows: _decode(backbone, folder, names, rows), threads, ahead) as stream:
        for planned in pending:
            chunks = islice(stream, len(chunks_of(planned)))
            shard, done = compute_shard(batcher, planned, chunks, lambda done: progress(done, len(names)), done)
            write_shard(shard_folder, planned, shard)
            finished[planned] = shard
            progress(done, len(names))
    return _assemble(names, ignored, [(planned, finished[planned]) for planned in plan])


def _planned(backbone: Backbone, digest: str, number: int, names: Sequence[str], images: Sequence[int]) -> ShardPlan:
    depends_on = [backbone.digest, digest, [names[image] for image in images]]
    return ShardPlan("loose", number, tuple(images), hashlib.sha256(json.dumps(depends_on).encode()).hexdigest())


def _decode(backbone: Backbone, folder: Path, names: Sequence[str], images: Sequence[int]) -> Decoded:
    """The network's inputs of some images; in `failures` a sentence for each of the others, in their order."""
    decoded, pixels, failures = list[int](), list[NDArray[np.uint8]](), list[str]()
    for image in images:
        try:
            pixels.append(backbone.transform.pixels(load_image(folder / names[image])))
            decoded.append(image)
        except DataError as error:
            failures.append(str(error))
    return Decoded(decoded, [], stacked(pixels, backbone), failures, len(images))


def _assemble(names: tuple[str, ...], ignored: tuple[str, ...], shards: Sequence[tuple[ShardPlan, Shard]]) -> LooseImages:
    features = torch.cat([shard.features for _, shard in shards])
    rows = torch.tensor([row for _, shard in shards for row in shard.rows], dtype=torch.int64)
    failures = dict[int, str]()
    for planned, shard in shards:
        read = set(shard.rows)
        failures |= dict(zip((image for image in planned.images if image not in read), shard.failures, strict=True))
    finite = torch.isfinite(features).all(dim=1)
    for row in rows[~finite].tolist():
        failures[row] = f"The representation of {Path(names[row]).name} is not finite; the network overflows on it."
    if not bool(finite.any()):
        raise DataError(f"None of the {len(names)} images can be read. {failures[0]}", code="images_unreadable")
    return LooseImages(names, ignored, features[finite], rows[finite], failures)


def _first(names: Sequence[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
