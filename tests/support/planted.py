"""Images of known attributes, and a vision-language model and a backbone trained on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.coloured_shapes import (
    ARCHITECTURE,
    ARGUMENTS,
    CLASS_NAMES,
    PHRASES,
    PREPROCESSING,
    Drawn,
    draw,
    train_network,
    true_phrases,
    write_images,
)
from demo.language_model import train_language_model

__all__ = ["ARCHITECTURE", "ARGUMENTS", "CLASS_NAMES", "DECOYS", "PHRASES", "PREPROCESSING", "Planted", "draw", "make"]

DECOYS = ("an orange shape", "a spiral", "a ring", "brown fur", "wooden planks", "a smiling face", "a long tail", "printed letters")
"""False for every image, and not used in training."""
TRAINED_ON = 1536
IMAGES_PER_CLASS = {"train": 40, "test": 20}
LANGUAGE_STEPS = 200


@dataclass(frozen=True)
class Planted:
    """Files that `make` wrote to a folder.

    Attributes
    ----------
    images : class folders in train/ and test/, of images that neither model was trained on
    language : checkpoint of the vision-language model (architecture and arguments: demo.language_model)
    backbone : checkpoint of the backbone (`ARCHITECTURE`, `ARGUMENTS`, `PREPROCESSING`)
    """

    images: Path
    language: Path
    backbone: Path

    @staticmethod
    def within(folder: Path) -> Planted:
        return Planted(folder / "images", folder / "language.safetensors", folder / "backbone.safetensors")

    def true_of(self, path: Path | str) -> set[str]:
        """Phrases that are true of an image of the class folders, as its file name says."""
        return {PHRASES[number] for number in true_phrases(path)}


def make(folder: Path) -> Planted:
    """Draw and write the images and train both models; deterministic."""
    planted = Planted.within(folder)
    for seed, (split, per_class) in enumerate(IMAGES_PER_CLASS.items(), start=1):
        write_images(draw(per_class * len(CLASS_NAMES), seed), planted.images / split)
    seen = draw(TRAINED_ON, seed=0)
    train_language(seen, planted.language)
    train_network(seen, planted.backbone)
    return planted


def train_language(seen: Drawn, path: Path) -> Path:
    """Train a vision-language model on phrases and class names."""
    named = seen.labels[:, None] == np.arange(len(CLASS_NAMES))
    truth = np.concatenate([seen.truth, named, named], axis=1)
    names = [*CLASS_NAMES, *(f"a {name}" for name in CLASS_NAMES)]
    return train_language_model(seen.images, truth, [*PHRASES, *names], steps=LANGUAGE_STEPS, path=path)
