"""Fixtures of the engine's tests: image folders, a tiny network, digits, and real data, which may be missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from support.scored import Scored, digit_features

REPOSITORY = Path(__file__).parents[2]

ImageFolder = Callable[..., Path]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real images and pre-trained weights; tests that need it are skipped where it is missing."""
    folder = Path(os.environ.get("IIS_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "weights" / "weights.json").is_file():
        pytest.skip(f"NOT TESTED: real images and weights are missing at {folder}; set IIS_SHARED_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def tiny_network() -> torch.nn.Module:
    """A small timm residual network with random weights."""
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=7).eval()


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state dict of `tiny_network` as safetensors."""
    path = tmp_path_factory.mktemp("checkpoints") / "tiny.safetensors"
    save_file(tiny_network.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def digits() -> Scored:
    """Scikit-learn's digits, scored with 30 concepts."""
    return Scored.of(digit_features(), 30)


@pytest.fixture
def image_folder(tmp_path: Path) -> ImageFolder:
    """Write class folders of small distinct PNG images: `image_folder({"cat": 5, "dog": 5}, under="train")`."""
    written = 0

    def write(counts: dict[str, int], under: str = "", root: str = "images", size: int = 40) -> Path:
        nonlocal written
        top = tmp_path / root
        for label, (name, count) in enumerate(counts.items()):
            folder = top / under / name
            folder.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                pixels = np.random.default_rng(written).integers(0, 256, (size, size, 3), dtype=np.uint8) // 2
                pixels[..., label % 3] |= 128  # each class has its own dominant channel
                Image.fromarray(pixels).save(folder / f"{index:04d}.png")
                written += 1
        return top

    return write
