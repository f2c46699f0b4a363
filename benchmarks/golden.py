"""Features for benchmarks: the golden arrays where they are available, else scikit-learn's digits."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from iis_engine.features.feature_set import FeatureSet, read_features

FOLDER_VARIABLE = "IIS_GOLDEN"
DEFAULT_FOLDER = Path(__file__).parents[2] / "shared" / "golden"


def golden_features(name: str) -> FeatureSet | None:
    """Read the golden representation `name`; print a notice and return None where it is missing."""
    path = Path(os.environ.get(FOLDER_VARIABLE, DEFAULT_FOLDER)) / f"{name}.npz"
    if path.is_file():
        return read_features(path)
    print(f"SKIPPED {name}: the golden features are missing at {path}; set {FOLDER_VARIABLE} to their folder.")
    return None


def digit_pixels() -> FeatureSet:
    """Scikit-learn's digits with 64 pixels as representation, and training images as elements."""
    images, labels = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(images.astype("float32"), labels, test_size=0.3, stratify=labels, random_state=0)
    X = torch.from_numpy(X_train)
    elements = X[torch.randperm(len(X), generator=torch.Generator().manual_seed(0))]
    names = tuple(str(label) for label in range(10))
    return FeatureSet(X, torch.from_numpy(y_train), torch.from_numpy(X_test), torch.from_numpy(y_test), names, elements)
