"""Small images whose class is their colour, and a plain convolutional module that tells them apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

SIDE_PIXELS = 16
CLASSES = ("red", "green", "blue")


def draw_images(count: int, seed: int) -> tuple[list[Image.Image], list[int]]:
    """Noisy images, `count` of which are spread evenly over the classes; each has one square of its class's colour."""
    generator = np.random.default_rng(seed)
    images, labels = [], [index % len(CLASSES) for index in range(count)]
    for label in labels:
        pixels = generator.integers(0, 120, (SIDE_PIXELS, SIDE_PIXELS, 3), dtype=np.uint8)
        top, left = generator.integers(0, SIDE_PIXELS // 2, 2)
        pixels[top : top + 8, left : left + 8, label] = 250
        images.append(Image.fromarray(pixels))
    return images, labels


def to_tensor(image: Image.Image) -> Tensor:
    """(3, H, W) float32 from -1 to 1."""
    return torch.from_numpy(np.asarray(image, dtype=np.float32).copy()).permute(2, 0, 1) / 127.5 - 1


class ColouredImages(Dataset[tuple[Any, int]]):
    """The images with their labels, as PIL images or as what `transform` makes of them."""

    def __init__(self, count: int, seed: int, transform: Callable[[Image.Image], Any] | None = None) -> None:
        self.classes = list(CLASSES)
        self.images, self.labels = draw_images(count, seed)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = self.images[index]
        return (image if self.transform is None else self.transform(image)), self.labels[index]


class ColourNetwork(nn.Module):
    """A user's own module: convolutions, mean over positions, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(3, 3)
        self.features = nn.Sequential(nn.Conv2d(3, 12, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(12, 24, 3, padding=1), nn.ReLU())
        self.hidden = nn.Linear(24, 10)
        self.classifier = nn.Linear(24, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.features(images).mean((2, 3))
        self.hidden(pooled)
        return self.classifier(pooled)


def colour_network() -> ColourNetwork:
    """The module with random weights of one seed, in training mode."""
    torch.manual_seed(0)
    return ColourNetwork().train()
