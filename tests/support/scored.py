"""A representation scored with one library: features, measurement and predictors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits

from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.build import build_library
from iis_engine.scoring.exact import measure_exact
from iis_engine.scoring.measurement import Measurement
from iis_engine.scoring.predictor import PredictorFamily
from iis_engine.specs import LibrarySpec

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Scored:
    """A representation, its measurement with one library, and the predictors of its curve."""

    features: FeatureSet
    measured: Measurement
    family: PredictorFamily

    @staticmethod
    def of(features: FeatureSet, concept_count: int) -> Scored:
        """Score with a prototype library of `concept_count` visual elements."""
        library = build_library(features, LibrarySpec("prototype", concept_count), 0, CPU)
        measured = measure_exact(features, [library], 0, CPU)
        return Scored(features, measured, PredictorFamily.of(library, measured, features.class_names))


def digit_features() -> FeatureSet:
    """Pixels of scikit-learn's digits; every fifth image is a test image, and training images are the elements."""
    images, labels = load_digits(return_X_y=True)
    X, y = torch.from_numpy(images).float(), torch.from_numpy(labels).long()
    test = torch.arange(len(y)) % 5 == 4
    return FeatureSet(X[~test], y[~test], X[test], y[test], tuple("0123456789"), X[~test][:300])
