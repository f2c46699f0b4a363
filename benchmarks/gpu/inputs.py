"""Synthetic inputs of the checks and figures: networks with seeded weights, images, and features in classes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from iis_engine.backbones.factory import load_backbone
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.data.datasets import read_image_folder
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.features.feature_set import FeatureSet
from iis_engine.specs import BackboneSpec, Preprocessing

CALIBRATION_IMAGES = 8


@dataclass(frozen=True)
class Sizes:
    """Sizes of all items.

    Attributes
    ----------
    architecture : timm name of the network
    side : pixels of an image
    images : of the comparisons with the CPU
    batch : images of one forward pass in the out-of-memory check
    timed_images : of the extraction figure
    distinct_images, score_images, classes : of the whole score; files repeat beyond the distinct ones
    rows, dimension, class_count : of the features of the comparison with the CPU
    large_rows, large_dimension, large_class_count : of the heads that stay on the device
    concept_count : M
    """

    architecture: str
    side: int
    images: int
    batch: int
    timed_images: int
    distinct_images: int
    score_images: int
    classes: int
    rows: int
    dimension: int
    class_count: int
    large_rows: int
    large_dimension: int
    large_class_count: int
    concept_count: int


FULL = Sizes("resnet50", 224, 64, 256, 4096, 2000, 50_000, 50, 6000, 256, 10, 200_000, 2048, 1000, 200)
SMALL = Sizes("test_resnet", 64, 4, 4, 16, 8, 16, 2, 240, 12, 3, 240, 16, 3, 12)


def load_on(device: str, sizes: Sizes, folder: Path) -> TorchBackbone:
    """The network on `device`; its weights come from a seed, its batch statistics from noise images, so that features differ."""
    path = folder / f"{sizes.architecture}.safetensors"
    if not path.is_file():
        torch.manual_seed(0)
        network = timm.create_model(sizes.architecture, num_classes=sizes.class_count).train()
        with torch.no_grad():
            network(torch.rand(CALIBRATION_IMAGES, 3, sizes.side, sizes.side))
        save_file(network.state_dict(), path)
    spec = BackboneSpec(f"timm:{sizes.architecture}", preprocessing=Preprocessing(input_size=sizes.side))
    backbone = load_backbone(spec, path, device=device)
    if not isinstance(backbone, TorchBackbone):
        raise TypeError("A timm network is a TorchBackbone.")
    return backbone


def synthetic_pixels(count: int, side: int, seed: int = 0) -> NDArray[np.uint8]:
    """Images of coloured waves (count, side, side, 3)."""
    random = np.random.default_rng(seed)
    at = np.arange(side) / side
    frequency, phase = random.uniform(1, 12, (2, count, 1, 1, 3)), random.uniform(0, 6, (2, count, 1, 1, 3))
    waves = np.sin(frequency[0] * 6 * at[:, None, None] + phase[0]) + np.cos(frequency[1] * 6 * at[None, :, None] + phase[1])
    noise = random.normal(0, 0.1, (count, side, side, 3))
    return np.clip(64 * (waves + noise) + 128, 0, 255).astype(np.uint8)


def synthetic_folder(root: Path, distinct: int, count: int, classes: int, side: int) -> ImageDataset:
    """A data set of `count` PNG or JPEG files, four fifths of them training images; files beyond `distinct` are links to others."""
    originals = root / "originals"
    originals.mkdir(parents=True)
    paths: list[Path] = []
    for first in range(0, distinct, 100):
        for number, pixels in enumerate(synthetic_pixels(min(100, distinct - first), side, first), start=first):
            paths.append(originals / f"{number}.jpg")
            Image.fromarray(pixels).save(paths[-1], quality=90)
    for number in range(count):
        split = "test" if number // classes % 5 == 4 else "train"
        folder = root / "images" / split / f"class{number % distinct % classes:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        os.link(paths[number % distinct], folder / f"{number}.jpg")
    return read_image_folder(root / "images")


def synthetic_features(rows: int, dimension: int, class_count: int, *, element_count: int = 200, seed: int = 0) -> FeatureSet:
    """Classes that overlap: a mean of each class and noise. A fifth of each class are test rows."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(class_count, dimension, generator=generator)
    y = torch.arange(rows) % class_count
    X = torch.randn(rows, dimension, generator=generator).mul_(2.0).add_(means[y])
    test = torch.arange(rows) // class_count % 5 == 4  # a fifth of each class
    names = tuple(f"class{label}" for label in range(class_count))
    return FeatureSet(X[~test], y[~test], X[test], y[test], names, X[~test][:element_count].clone())
