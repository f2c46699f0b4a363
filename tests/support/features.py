"""Small files of precomputed features."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np


def features_file(*, per_class: int = 30, classes: int = 3, dimension: int = 6, seed: int = 0) -> bytes:
    """Well separated classes with elements, as an npz."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(classes, dimension)) * 3
    labels = np.repeat(np.arange(classes), per_class)

    def sample() -> np.ndarray[Any, Any]:
        return (centres[labels] + generator.normal(size=(len(labels), dimension))).astype(np.float32)

    arrays: dict[str, Any] = {"X_train": sample(), "y_train": labels, "X_test": sample(), "y_test": labels, "concepts": sample()[:60]}
    buffer = BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
