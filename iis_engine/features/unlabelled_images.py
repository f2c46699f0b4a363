"""Extract features f of a folder of unlabelled images, in shards that survive an interruption; record why an image fails."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
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
from iis_engine.data.decoding.images import SUFFIXES, load_image
from iis_engine.data.folders.folder_tree import read_folder_tree
from iis_engine.errors import DataError, first_names
from iis_engine.features.decoding import DecodedImages, stack_pixels
from iis_engine.features.embedding import (
    BatchEmbedder,
    compute_shard,
    default_batch_size,
    default_decode_threads,
    prefetch_depth,
    split_chunks,
)
from iis_engine.features.extraction import default_shard_size
from iis_engine.features.prefetching import prefetch
from iis_engine.features.shards import Shard, ShardPlan, read_failures, require_shard, write_shard
from iis_engine.progress import ProgressCallback, no_progress

_HEADER_KEY = "loose"  # part of the file format


@dataclass(frozen=True)
class UnlabelledImages:
    """Features of the images of a folder.

    Attributes
    ----------
    names : n paths relative to the folder, sorted
    ignored : paths of files without an image suffix, sorted
    features : (k, d) float32 of the images that could be read
    rows : (k,) int64, their indices into `names`
    failures : index of every other image to its error message
    """

    names: tuple[str, ...]
    ignored: tuple[str, ...]
    features: Tensor
    rows: Tensor
    failures: dict[int, str]

    def save(self, path: Path) -> None:
        """Write one safetensors file with names and failures in its header."""
        header = {"names": self.names, "ignored": self.ignored, "failures": self.failures}
        tensors = {"features": self.features.contiguous(), "rows": self.rows.contiguous()}
        save_file(tensors, path, metadata={_HEADER_KEY: json.dumps(header)})

    @staticmethod
    def load(path: Path) -> UnlabelledImages:
        """Read a file written by `save`."""
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()[_HEADER_KEY])
            features, rows = (file.get_tensor(name) for name in ("features", "rows"))
        failures = {int(row): reason for row, reason in header["failures"].items()}
        return UnlabelledImages(tuple(header["names"]), tuple(header["ignored"]), features, rows, failures)


def find_images(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """List the image files and the other files of a folder and its subfolders -> two sorted tuples of relative paths.

    Hidden and system files are in neither.

    Raises
    ------
    DataError
        If there is no image.
    """
    tree = read_folder_tree(folder)
    images = [path.relative_to(folder).as_posix() for path in tree.image_paths()]
    others = [(inside.path / name).relative_to(folder).as_posix() for inside in tree.walk() for name in inside.others]
    if not images:
        raise DataError(
            f"The archive contains no images, only {first_names(sorted(others))}; send {', '.join(sorted(SUFFIXES))} files.",
            code="images_absent",
        )
    return tuple(sorted(images)), tuple(sorted(others))


def extract_unlabelled(
    backbone: Backbone,
    folder: Path,
    digest: str,
    *,
    shard_folder: Path,
    progress: ProgressCallback = no_progress,
    shard_size: int | None = None,
) -> UnlabelledImages:
    """Compute f of every image in a folder.

    Finished shards in `shard_folder` are reused if they were computed by the same backbone from the same content.

    Parameters
    ----------
    digest : sha256 of the folder's content
    shard_folder : folder of the shards; created if missing
    progress : called with (images done, images)
    shard_size : images per shard, by default `default_shard_size`

    Raises
    ------
    OutOfMemory
        If not even one image fits into memory.
    DataError
        If there is no image, or none can be read.
    """
    extraction = UnlabelledExtraction(backbone, folder, digest, shard_folder=shard_folder, shard_size=shard_size)
    extraction.compute(progress=progress)
    return extraction.assemble()


class UnlabelledExtraction:
    """The shards of the features of a folder: several processes may compute some each; the numbers are those of one process.

    Parameters as in `extract_unlabelled`.
    """

    def __init__(self, backbone: Backbone, folder: Path, digest: str, *, shard_folder: Path, shard_size: int | None = None) -> None:
        self._backbone = backbone
        self._folder = folder
        self._shard_folder = shard_folder
        self._names, self._ignored = find_images(folder)
        self.shard_size = size = shard_size or default_shard_size(backbone)
        rows = range(len(self._names))
        self.plan = [
            _plan_shard(backbone, digest, number, self._names, rows[start : start + size])
            for number, start in enumerate(range(0, len(rows), size))
        ]

    def units(self, planned: ShardPlan) -> int:
        """Images of a shard."""
        return len(planned.images)

    def missing(self) -> list[ShardPlan]:
        """Shards that are not in the folder."""
        return [planned for planned in self.plan if read_failures(self._shard_folder, planned) is None]

    def compute(self, names: Collection[str] | None = None, *, progress: ProgressCallback = no_progress) -> None:
        """Write the shards that are not in the folder, all or those with these file names.

        Parameters
        ----------
        progress : called with (images done, images), of the named shards
        """
        chosen = [planned for planned in self.plan if names is None or planned.file_name in names]
        total = sum(self.units(planned) for planned in chosen)
        self._shard_folder.mkdir(parents=True, exist_ok=True)
        pending = [planned for planned in chosen if read_failures(self._shard_folder, planned) is None]
        done = total - sum(self.units(planned) for planned in pending)
        progress(done, total)
        embedder = BatchEmbedder(self._backbone, default_batch_size(self._backbone))
        tasks = [rows for planned in pending for rows in split_chunks(planned)]
        threads = default_decode_threads(self._backbone)
        with prefetch(tasks, self._decode, threads, prefetch_depth(threads, embedder)) as decoded:
            for planned in pending:
                chunks = islice(decoded, len(split_chunks(planned)))
                shard, done = compute_shard(embedder, chunks, lambda done: progress(done, total), done)
                write_shard(self._shard_folder, planned, shard)
                progress(done, total)

    def assemble(self) -> UnlabelledImages:
        """Join all shards, which must be in the folder.

        Raises
        ------
        DataError
            If no image can be read.
        """
        return _assemble(self._names, self._ignored, [(planned, require_shard(self._shard_folder, planned)) for planned in self.plan])

    def _decode(self, rows: Sequence[int]) -> DecodedImages:
        return _decode(self._backbone, self._folder, self._names, rows)


def _plan_shard(backbone: Backbone, digest: str, number: int, names: Sequence[str], images: Sequence[int]) -> ShardPlan:
    depends_on = [backbone.digest, digest, [names[image] for image in images]]
    return ShardPlan("unlabelled", number, tuple(images), hashlib.sha256(json.dumps(depends_on).encode()).hexdigest())


def _decode(backbone: Backbone, folder: Path, names: Sequence[str], images: Sequence[int]) -> DecodedImages:
    """Decode some images; `failures` has an error message for each of the others, in their order."""
    decoded, pixels, failures = list[int](), list[NDArray[np.uint8]](), list[str]()
    for image in images:
        try:
            pixels.append(backbone.transform.pixels(load_image(folder / names[image])))
            decoded.append(image)
        except DataError as error:
            failures.append(str(error))
    return DecodedImages(decoded, [], [], stack_pixels(pixels, backbone), failures, len(images))


def _assemble(names: tuple[str, ...], ignored: tuple[str, ...], shards: Sequence[tuple[ShardPlan, Shard]]) -> UnlabelledImages:
    features = torch.cat([shard.features for _, shard in shards])
    rows = torch.tensor([row for _, shard in shards for row in shard.rows], dtype=torch.int64)
    failures = dict[int, str]()
    for planned, shard in shards:
        read = set(shard.rows)
        failures |= dict(zip((image for image in planned.images if image not in read), shard.failures, strict=True))
    finite = torch.isfinite(features).all(dim=1)
    for row in rows[~finite].tolist():
        failures[row] = f"The representation of {Path(names[row]).name} is not finite: the network overflows on it."
    if not bool(finite.any()):
        raise DataError(f"None of the {len(names)} images can be read. {failures[0]}", code="images_unreadable")
    return UnlabelledImages(names, ignored, features[finite], rows[finite], failures)
