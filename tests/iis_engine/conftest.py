"""Images, folders and networks that the engine's tests share. Real data comes from a folder beside the repository and may be missing."""

from __future__ import annotations

import os
import sys
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
sys.path.insert(0, str(REPOSITORY / "benchmarks"))  # the CIFAR ResNet is written once, where the benchmarks run it

ImageFolder = Callable[..., Path]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images and pre-trained weights; the tests that need them are skipped where the folder is missing."""
    folder = Path(os.environ.get("IIS_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "weights" / "weights.json").is_file():
        pytest.skip(f"NOT TESTED: real images and weights are missing at {folder}; set IIS_SHARED_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def tiny_network() -> torch.nn.Module:
    """A small residual network with random weights, as a stranger would train with timm."""
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=7).eval()


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "tiny.safetensors"
    save_file(tiny_network.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def digits() -> Scored:
    """Scikit-learn's digits and a curve of 30 concepts."""
    return Scored.of(digit_features(), 30)


@pytest.fixture
def image_folder(tmp_path: Path) -> ImageFolder:
    """Writes class folders of small distinct PNG images: `image_folder({"cat": 5, "dog": 5}, under="train")`."""
    written = 0

    def write(counts: dict[str, int], under: str = "", root: str = "images", size: int = 40) -> Path:
        nonlocal written
        top = tmp_path / root
        for label, (name, count) in enumerate(counts.items()):
            folder = top / under / name
            folder.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                pixels = np.random.default_rng(written).integers(0, 256, (size, size, 3), dtype=np.uint8) // 2
                pixels[..., label % 3] |= 128  # a colour of its own for each class
                Image.fromarray(pixels).save(folder / f"{index:04d}.png")
                written += 1
        return top

    return write
