"""Inherent Interpretability Score (IIS) of vision representations: concept libraries, sparse heads, ARR curves, explanations.

`score` runs the whole method on a model and its images, `score_features` on ready features; the stages are public too. Importing the
package is cheap: the modules behind these names, and torch, are imported on first use.

References
----------
Shen et al., Enhancing Pre-trained Representation Classifiability can Boost its Interpretability, ICLR 2025, arXiv 2510.24105.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from iis_engine.versions import ENGINE_VERSION

if TYPE_CHECKING:
    from iis_engine.backbones.factory import load_backbone
    from iis_engine.data.datasets import read_image_folder
    from iis_engine.errors import EngineError
    from iis_engine.features.feature_set import FeatureSet, read_features
    from iis_engine.finetuning.finetune_spec import FinetuneSpec
    from iis_engine.finetuning.finetuned_run import FinetunedRun
    from iis_engine.finetuning.history import EpochRecord
    from iis_engine.finetuning.report import compare_runs
    from iis_engine.finetuning.run import finetune
    from iis_engine.interpretation.estimator import Interpretability
    from iis_engine.interpretation.image_explanation import ImageExplanation
    from iis_engine.interpretation.interpretation import Interpretation
    from iis_engine.interpretation.score import score
    from iis_engine.libraries.vectors import read_vectors
    from iis_engine.report import CurvePoint, IISReport
    from iis_engine.scoring.predictor import Predictor
    from iis_engine.scoring.score import fit_predictor, score_features
    from iis_engine.specs import BackboneSpec, ElementSpec, LibrarySpec, Preprocessing, ScoreSpec, VisionLanguageSpec
    from iis_engine.vision_language.model import load_vision_language_model
    from iis_engine.vocabularies.phrases import Phrase
    from iis_engine.vocabularies.shipped import shipped

__all__ = [
    "ENGINE_VERSION",
    "BackboneSpec",
    "CurvePoint",
    "ElementSpec",
    "EngineError",
    "EpochRecord",
    "FeatureSet",
    "FinetuneSpec",
    "FinetunedRun",
    "IISReport",
    "ImageExplanation",
    "Interpretability",
    "Interpretation",
    "LibrarySpec",
    "Phrase",
    "Predictor",
    "Preprocessing",
    "ScoreSpec",
    "VisionLanguageSpec",
    "compare_runs",
    "finetune",
    "fit_predictor",
    "load_backbone",
    "load_vision_language_model",
    "read_features",
    "read_image_folder",
    "read_vectors",
    "score",
    "score_features",
    "shipped",
]

_MODULES = {
    "BackboneSpec": "specs",
    "CurvePoint": "report",
    "ElementSpec": "specs",
    "EngineError": "errors",
    "EpochRecord": "finetuning.history",
    "FeatureSet": "features.feature_set",
    "FinetuneSpec": "finetuning.finetune_spec",
    "FinetunedRun": "finetuning.finetuned_run",
    "IISReport": "report",
    "ImageExplanation": "interpretation.image_explanation",
    "Interpretability": "interpretation.estimator",
    "Interpretation": "interpretation.interpretation",
    "LibrarySpec": "specs",
    "Phrase": "vocabularies.phrases",
    "Predictor": "scoring.predictor",
    "Preprocessing": "specs",
    "ScoreSpec": "specs",
    "VisionLanguageSpec": "specs",
    "compare_runs": "finetuning.report",
    "finetune": "finetuning.run",
    "fit_predictor": "scoring.score",
    "load_backbone": "backbones.factory",
    "load_vision_language_model": "vision_language.model",
    "read_features": "features.feature_set",
    "read_image_folder": "data.datasets",
    "read_vectors": "libraries.vectors",
    "score": "interpretation.score",
    "score_features": "scoring.score",
    "shipped": "vocabularies.shipped",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
