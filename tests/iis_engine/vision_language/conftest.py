"""Fixtures of the vision-language tests: a tiny CLIP model, its checkpoint, and its own embeddings of some phrases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file

ARGUMENTS: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="package")
def clip() -> Any:
    """A ViT-B-32 CLIP model of tiny width with random weights."""
    torch.manual_seed(0)
    return open_clip.create_model("ViT-B-32", pretrained_text=False, **ARGUMENTS).eval()


@pytest.fixture(scope="package")
def checkpoint(clip: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state dict of `clip`."""
    path = tmp_path_factory.mktemp("clip") / "clip.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in clip.state_dict().items()}, path)
    return path


@pytest.fixture(scope="package")
def phrases() -> list[str]:
    """Phrases of ordinary and unusual characters, and one longer than the context."""
    return ["a red bird", "stripes", "a loop at the top!", "ünïcödé", "word " * 300]


@pytest.fixture(scope="package")
def expected_text(clip: Any, phrases: list[str]) -> torch.Tensor:
    """open_clip's own embeddings of the phrases."""
    with torch.no_grad():
        return clip.encode_text(open_clip.tokenize(phrases, 16), normalize=True)
