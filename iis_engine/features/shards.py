"""Pieces of extracted features on disk: planned, written whole or not at all, and read back only if they are what was planned."""

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

from iis_engine.data.datasets import ImageDataset
from iis_engine.specs import ElementSpec

Part = Literal["train", "test", "elements", "loose"]


@dataclass(frozen=True)
class ShardPlan:
    """Images of one part whose features make one file; `key` is the sha256 of all that the features depend on."""

    part: Part
    number: int
    images: tuple[int, ...]
    key: str

    @property
    def file_name(self) -> str:
        return f"{self.part}-{self.number:05d}.safetensors"


@dataclass(frozen=True)
class Shard:
    """Features (k, d) float32 with the image of each row, for elements their boxes, and the names of images that failed."""

    features: Tensor
    rows: tuple[int, ...]
    boxes: tuple[tuple[int, int, int, int], ...]
    failures: tuple[str, ...]


def plan_shards(
    backbone_digest: str, dataset: ImageDataset, spec: ElementSpec | None, sources: list[int], shard_size: int
) -> list[ShardPlan]:
    """All shards of a data set, `shard_size` images each; of elements, `shard_size` / 16 source images each."""
    plans = list[ShardPlan]()
    parts: list[tuple[Part, list[int], int]] = [
        ("train", list(range(len(dataset.train))), shard_size),
        ("test", list(range(len(dataset.test))), shard_size),
        ("elements", sources, max(1, shard_size // 16)),
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
    """Write a shard under a temporary name and move it into place."""
    tensors = {
        "features": shard.features.contiguous(),
        "rows": torch.tensor(shard.rows, dtype=torch.int64),
        "boxes": torch.tensor(shard.boxes, dtype=torch.int64).reshape(-1, 4),
    }
    partial = folder / f"{planned.file_name}.{os.getpid()}.partial"
    try:
        save_file(tensors, partial, metadata={"key": planned.key, "failures": json.dumps(shard.failures)})
        partial.replace(folder / planned.file_name)
    finally:
        partial.unlink(missing_ok=True)


def read_shard(folder: Path, planned: ShardPlan) -> Shard | None:
    """The shard if it is there, whole, and made for this plan."""
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
        tuple(json.loads(header["failures"])),
    )
