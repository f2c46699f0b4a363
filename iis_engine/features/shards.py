"""Plan shards of extracted features; write them atomically and read them back if their key matches the plan."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.data.image_dataset import ImageDataset
from iis_engine.features.feature_set import Box
from iis_engine.specs import ElementSpec

Part = Literal["train", "test", "elements", "unlabelled"]


@dataclass(frozen=True)
class ShardPlan:
    """Images of one part whose features form one file.

    Attributes
    ----------
    number : index of the shard within its part
    images : indices of the images
    key : sha256 of everything that the features depend on
    """

    part: Part
    number: int
    images: tuple[int, ...]
    key: str

    @property
    def file_name(self) -> str:
        """Name of the shard's file."""
        return f"{self.part}-{self.number:05d}.safetensors"


@dataclass(frozen=True)
class Shard:
    """Features of one shard.

    Attributes
    ----------
    features : (k, d) float32
    rows : k indices of the images
    boxes : k boxes for elements, else empty
    kinds : k kinds for elements, patch or segment, else empty
    failures : names of the images that could not be decoded, or the reasons
    """

    features: Tensor
    rows: tuple[int, ...]
    boxes: tuple[Box, ...]
    kinds: tuple[str, ...]
    failures: tuple[str, ...]


def plan_shards(
    backbone_digest: str, dataset: ImageDataset, spec: ElementSpec | None, sources: list[int], shard_size: int
) -> list[ShardPlan]:
    """Plan all shards of a data set: `shard_size` images each, for elements the source images of at most as many elements.

    Parameters
    ----------
    sources : indices of the training images that elements are cut from
    """
    plans = list[ShardPlan]()
    parts: list[tuple[Part, list[int], int]] = [
        ("train", list(range(len(dataset.train))), shard_size),
        ("test", list(range(len(dataset.test))), shard_size),
        ("elements", sources, max(1, shard_size // (spec.elements_per_image_max if spec is not None else 1))),
    ]
    for part, images, size in parts:
        cut = asdict(spec) if part == "elements" and spec is not None else None
        for number, start in enumerate(range(0, len(images), size)):
            chosen = tuple(images[start : start + size])
            depends_on = [backbone_digest, dataset.digest, part, chosen, cut]
            key = hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()
            plans.append(ShardPlan(part, number, chosen, key))
    return plans


def write_shard(folder: Path, planned: ShardPlan, shard: Shard) -> None:
    """Write a shard to a temporary file and rename it."""
    tensors = {
        "features": shard.features.contiguous(),
        "rows": torch.tensor(shard.rows, dtype=torch.int64),
        "boxes": torch.tensor(shard.boxes, dtype=torch.int64).reshape(-1, 4),
    }
    partial = folder / f"{planned.file_name}.{os.getpid()}.partial"
    try:
        save_file(tensors, partial, metadata={"key": planned.key, "kinds": json.dumps(shard.kinds), "failures": json.dumps(shard.failures)})
        partial.replace(folder / planned.file_name)
    finally:
        partial.unlink(missing_ok=True)


def read_failures(folder: Path, planned: ShardPlan) -> tuple[str, ...] | None:
    """Return the failures of a shard from its header, without its features; None if its file is missing, damaged or of another key."""
    path = folder / planned.file_name
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError):
        return None
    return tuple(json.loads(header["failures"])) if header.get("key") == planned.key else None


def require_shard(folder: Path, planned: ShardPlan) -> Shard:
    """Return a shard that was written before.

    Raises
    ------
    OSError
        If its file is missing, damaged or of another key.
    """
    shard = read_shard(folder, planned)
    if shard is None:
        raise OSError(f"The shard {planned.file_name} has disappeared from {folder}.")
    return shard


def read_shard(folder: Path, planned: ShardPlan) -> Shard | None:
    """Return the shard; None if its file is missing, damaged or of another key."""
    path = folder / planned.file_name
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("key") != planned.key:
                return None
            features, rows, boxes = (file.get_tensor(name) for name in ("features", "rows", "boxes"))
    except (SafetensorError, OSError):
        return None
    return Shard(
        features,
        tuple(rows.tolist()),
        tuple((left, top, right, bottom) for left, top, right, bottom in boxes.tolist()),
        tuple(json.loads(header.get("kinds", "[]"))),
        tuple(json.loads(header["failures"])),
    )
