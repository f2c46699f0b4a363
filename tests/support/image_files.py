"""Write small images that differ from each other, under any names."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def png_bytes(seed: object = 0, side: int = 8) -> bytes:
    """A PNG of noise, the same for the same seed."""
    buffer = io.BytesIO()
    number = int.from_bytes(str(seed).encode(), "little")
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def write_images(root: Path, names: Iterable[str]) -> Path:
    """Write one image for each relative path; return the root."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png_bytes(name))
    return root


def write_text(root: Path, name: str, lines: Iterable[str]) -> Path:
    """Write a text file of lines below a folder; return its path."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
