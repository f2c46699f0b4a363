"""Images of coloured shapes with known attributes, and networks trained on chosen attributes. No score: see recovery.py."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

SIDE_PIXELS = 32
COLOURS = {"red": (230, 40, 40), "yellow": (230, 220, 40), "green": (40, 200, 60), "blue": (50, 80, 240)}
SHAPES = ("circle", "square", "triangle", "cross")
TEXTURES = {"plain": "a plain surface", "striped": "stripes", "dotted": "small dots", "checkered": "a checkered pattern"}
PLACES = {"on the left": (9, 16), "on the right": (22, 16), "at the top": (16, 9), "at the bottom": (16, 22)}  # x, y of the centre
WARM = ("red", "yellow")

PHRASES = (
    *(f"a {colour} shape" for colour in COLOURS),
    *(f"a {shape}" for shape in SHAPES),
    *TEXTURES.values(),
    *(f"a shape {place}" for place in PLACES),
)
"""Four are true of each image: one colour, one shape, one texture and one place."""
CLASS_NAMES = tuple(f"{warmth} {shape}" for warmth, shape in product(("warm", "cold"), SHAPES))
"""A class is a shape in a warm or a cold colour; it is independent of texture and place."""

ARCHITECTURE = "timm:test_resnet"
ARGUMENTS: dict[str, Any] = {"num_classes": len(CLASS_NAMES)}
PREPROCESSING: dict[str, Any] = {"input_size": SIDE_PIXELS, "crop_pct": 1.0}

STEPS = 200
BATCH = 64
LEARNING_RATE = 5e-3


@dataclass(frozen=True)
class Drawn:
    """Generated images with their labels and attributes.

    Attributes
    ----------
    images : (n, 32, 32, 3) uint8
    labels : (n,) into `CLASS_NAMES`
    truth : (n, P) bool, whether each of `PHRASES` is true
    """

    images: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    truth: np.ndarray[Any, Any]


def draw(count: int, seed: int) -> Drawn:
    """Images with equally many of each class and other attributes at random; `count` is a multiple of the number of classes."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASS_NAMES)
    images, truth = [], np.zeros((count, len(PHRASES)), dtype=bool)
    for row, label in enumerate(labels):
        warmth, shape = CLASS_NAMES[label].split()
        colour = generator.choice([name for name in COLOURS if (name in WARM) == (warmth == "warm")])
        texture, place = generator.choice(list(TEXTURES)), generator.choice(list(PLACES))
        images.append(_image(shape, COLOURS[colour], texture, PLACES[place], generator))
        for phrase in (f"a {colour} shape", f"a {shape}", TEXTURES[texture], f"a shape {place}"):
            truth[row, PHRASES.index(phrase)] = True
    return Drawn(np.stack(images), labels, truth)


def write_images(drawn: Drawn, folder: Path) -> None:
    """Write class folders; a file's name lists the numbers of its true phrases."""
    for row, (image, label, true) in enumerate(zip(drawn.images, drawn.labels, drawn.truth, strict=True)):
        numbers = "-".join(str(number) for number in np.flatnonzero(true))
        path = folder / CLASS_NAMES[label] / f"{row:04d}-{numbers}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def true_phrases(path: Path | str) -> list[int]:
    """Numbers of the phrases that are true of an image that `write_images` wrote."""
    return [int(number) for number in Path(path).stem.split("-")[1:]]


def new_network() -> Any:
    """An untrained network of `ARCHITECTURE`."""
    torch.manual_seed(0)
    return timm.create_model(ARCHITECTURE.removeprefix("timm:"), **ARGUMENTS)


def train_network(seen: Drawn, path: Path, *, phrases: slice = slice(None), classes: bool = True) -> Path:
    """Train a classifier of attributes, so that its representation encodes each of them, and save its weights.

    Parameters
    ----------
    phrases : the attributes among `PHRASES`
    classes : whether the class is trained beside them
    """
    torch.set_num_threads(1)
    fast = torch.channels_last
    network = new_network().to(memory_format=fast)
    pixels = torch.from_numpy(seen.images).permute(0, 3, 1, 2).float().div(127.5).sub(1.0).contiguous(memory_format=fast)
    labels, truth = torch.from_numpy(seen.labels), torch.from_numpy(seen.truth[:, phrases]).float()
    attribute_count = truth.shape[1]
    attributes = nn.Linear(network.num_features, attribute_count)
    optimizer = torch.optim.AdamW([*network.parameters(), *attributes.parameters()], lr=LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    for _ in range(STEPS):
        batch = torch.randint(len(pixels), (BATCH,))
        pooled = network.forward_head(network.forward_features(pixels[batch]), pre_logits=True)
        loss = attribute_count * binary_cross_entropy_with_logits(attributes(pooled), truth[batch])  # each weighs as much as the class
        if classes:
            loss = loss + cross_entropy(network.get_classifier()(pooled), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return save_network(network, path)


def save_network(network: Any, path: Path) -> Path:
    """Write the weights as safetensors."""
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path)
    return path


def _image(
    shape: str, colour: tuple[int, int, int], texture: str, centre: tuple[int, int], generator: np.random.Generator
) -> np.ndarray[Any, Any]:
    y, x = np.mgrid[:SIDE_PIXELS, :SIDE_PIXELS]
    shift_x, shift_y = generator.integers(-1, 2, size=2)
    dx, dy, radius = x - centre[0] - shift_x, y - centre[1] - shift_y, generator.uniform(8.0, 9.5)
    inside = {
        "circle": dx**2 + dy**2 <= radius**2,
        "square": np.maximum(abs(dx), abs(dy)) <= 0.85 * radius,
        "triangle": (abs(dy) <= 0.9 * radius) & (abs(dx) <= 0.5 * (dy + 0.9 * radius)),
        "cross": (np.minimum(abs(dx), abs(dy)) <= 0.3 * radius) & (np.maximum(abs(dx), abs(dy)) <= radius),
    }[shape]
    x, y = x + generator.integers(8), y + generator.integers(8)
    lit = {
        "plain": np.ones_like(x, dtype=bool),
        "striped": y % 4 < 2,
        "dotted": (x % 4 < 2) & (y % 4 < 2),
        "checkered": (x // 4 + y // 4) % 2 == 0,
    }[texture]
    surface = np.array(colour) * np.where(lit, 1.0, 0.4)[..., None] * generator.uniform(0.85, 1.0)
    background = generator.uniform(10, 40)
    mixed = np.where(inside[..., None], surface, background) + generator.normal(0, 4, (SIDE_PIXELS, SIDE_PIXELS, 3))
    return mixed.clip(0, 255).astype(np.uint8)
