"""Inputs of the demo: scikit-learn's digits as class folders, and checkpoints of one small network. Uses no service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn.functional import cross_entropy

ARCHITECTURE = "test_resnet"  # an architecture of timm with 0.37 million parameters
CLASS_COUNT = 10
SIDE_PIXELS = 32
TEST_SHARE = 0.5
BATCH = 64
LEARNING_RATE = 3e-3
STEPS_SAVED = (0, 20, 40, 105)  # 14 steps per epoch; 0 is the untrained network
SEED = 0


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint and the training step it was saved at."""

    name: str
    path: Path
    step: int


def write_digits(folder: Path) -> None:
    """Write the 1797 handwritten digits as `train/0/0001.png`, …, enlarged from 8 to 32 pixels."""
    images, labels = digit_images()
    train, test = split_rows(labels)
    for split, rows in (("train", train), ("test", test)):
        for row in rows:
            path = folder / split / str(labels[row]) / f"{row:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[row]).save(path)


def train_checkpoints(folder: Path, steps_saved: Sequence[int] = STEPS_SAVED) -> list[Checkpoint]:
    """Train the network for a few seconds; save a checkpoint at each of `steps_saved`, by default four from untrained to trained."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = digit_images()
    train, _ = split_rows(labels)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # for batches this small, several threads are slower than one
    fast = torch.channels_last  # five times faster than the default layout for a network this narrow
    network = timm.create_model(ARCHITECTURE, num_classes=CLASS_COUNT).to(memory_format=fast)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    scaled = torch.from_numpy(images[train]).float().div(127.5).sub(1.0)  # mean and standard deviation of its preprocessing: 0.5 each
    pixels = scaled[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=fast)
    targets = torch.from_numpy(labels[train])
    saved: list[Checkpoint] = []
    order: torch.Tensor = torch.empty(0, dtype=torch.long)
    for step in range(max(steps_saved) + 1):
        if step in steps_saved:
            saved.append(_save(network, folder, step))
        if len(order) < BATCH:
            order = torch.randperm(len(targets))
        batch, order = order[:BATCH], order[BATCH:]
        optimizer.zero_grad()
        cross_entropy(network(pixels[batch]), targets[batch]).backward()
        optimizer.step()
    return saved


def _save(network: torch.nn.Module, folder: Path, step: int) -> Checkpoint:
    name = f"{step:03d} steps" if step else "untrained"
    path = folder / f"{ARCHITECTURE}-step-{step:03d}.safetensors"
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path)
    return Checkpoint(name, path, step)


def digit_images() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Load images (1797, 32, 32) uint8 and labels (1797,)."""
    digits = cast("Any", load_digits())
    small = (digits.images * (255.0 / 16.0)).astype(np.uint8)
    large = [np.asarray(Image.fromarray(image).resize((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.BICUBIC)) for image in small]
    return np.stack(large), digits.target


def split_rows(labels: np.ndarray[Any, Any]) -> tuple[list[int], list[int]]:
    """Split rows into train and test, half of each digit."""
    train, test = train_test_split(np.arange(len(labels)), test_size=TEST_SHARE, stratify=labels, random_state=SEED)
    return sorted(int(row) for row in train), sorted(int(row) for row in test)
