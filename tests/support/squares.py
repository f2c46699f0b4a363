"""Archives of noisy squares, whose classes differ in brightness alone."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import numpy as np
from PIL import Image

LEVELS = {"bright": 200, "dark": 40}
SIDE_PIXELS = 24


def squares_zip(levels: Mapping[str, int] = LEVELS, *, seed: int = 0, per_class: int = 12) -> bytes:
    """A zip of class folders; `levels` are the mean brightness of each class, 0 to 255."""
    generator = np.random.default_rng(seed)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for label, level in levels.items():
            for index in range(per_class):
                pixels = np.clip(generator.normal(level, 20, (SIDE_PIXELS, SIDE_PIXELS, 3)), 0, 255).astype(np.uint8)
                png = io.BytesIO()
                Image.fromarray(pixels).save(png, "PNG")
                archive.writestr(f"{label}/{index}.png", png.getvalue())
    return buffer.getvalue()
