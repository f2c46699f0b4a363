"""Inputs for browser tests: an archive of handwritten digits and the checkpoint of an untrained network for them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits

CLASSES = 3
PIXELS = 32
ARCHITECTURE = "timm:test_resnet"


def write_digits(path: Path, images: int) -> Path:
    """Write a zip of the first images of three digits, in class folders."""
    digits: Any = load_digits(n_class=CLASSES)
    with zipfile.ZipFile(path, "w") as archive:
        for index, (pixels, label) in enumerate(zip(digits.images[:images], digits.target[:images], strict=True)):
            png = io.BytesIO()
            Image.fromarray((pixels * 255 / 16).astype(np.uint8)).resize((PIXELS, PIXELS)).save(png, "PNG")
            archive.writestr(f"{label}/{index:04d}.png", png.getvalue())
    return path


def write_checkpoint(path: Path) -> Path:
    """Write the weights of an untrained network with three classes."""
    torch.manual_seed(0)
    network = timm.create_model(ARCHITECTURE.removeprefix("timm:"), num_classes=CLASSES)
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
    return path
