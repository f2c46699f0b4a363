"""Train a small network of timm on the scenes, and save it and its untrained start. Uses no service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from demo.scenes.scene import CLASSES, Scenes
from demo.scenes.surfaces import Array

ARCHITECTURE = "test_resnet"
INPUT_PIXELS = 64
ARGUMENTS: dict[str, Any] = {"num_classes": len(CLASSES), "output_stride": 8}
"""Maps of 8 x 8 positions, so that heat maps show where an object is."""
PREPROCESSING: dict[str, Any] = {"input_size": INPUT_PIXELS, "crop_pct": 1.0}
EPOCHS = 8
BATCH = 64
LEARNING_RATE = 6e-3
WEIGHT_DECAY = 0.05
SEED = 0


def save_untrained(path: Path) -> Path:
    """Save the network from which training starts."""
    return _save(_new_network(), path)


def train_scene_network(scenes: Scenes, path: Path, *, epochs: int = EPOCHS) -> Path:
    """Train the network to name the class of a scene, mirrored or not, and save it as safetensors."""
    fast = torch.channels_last  # faster than the default layout for a network this narrow
    network = _new_network().to(memory_format=fast)
    pixels, targets = network_input(scenes.images).contiguous(memory_format=fast), torch.from_numpy(scenes.labels)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * -(-len(targets) // BATCH))
    for _ in range(epochs):
        for batch in torch.randperm(len(targets)).split(BATCH):
            mirrored = torch.rand(len(batch), 1, 1, 1) < 0.5
            seen = torch.where(mirrored, pixels[batch].flip(3), pixels[batch])
            optimizer.zero_grad()
            cross_entropy(network(seen), targets[batch]).backward()
            optimizer.step()
            schedule.step()
    return _save(network, path)


def network_input(images: Array) -> torch.Tensor:
    """Images (n, 96, 96, 3) as the network's preprocessing gives them: (n, 3, 64, 64) with mean and deviation 0.5."""
    size = (INPUT_PIXELS, INPUT_PIXELS)
    small = np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)) for image in images])
    return torch.from_numpy(small).permute(0, 3, 1, 2).float().div(127.5).sub(1.0)


def _new_network() -> torch.nn.Module:
    torch.manual_seed(SEED)
    return timm.create_model(ARCHITECTURE, **ARGUMENTS)


def _save(network: torch.nn.Module, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path)
    return path
