"""iis_engine: how interpretable is a representation? The Inherent Interpretability Score (ICLR 2025) as a library.

`score` does it all; its stages, and everything they need, are public too. Importing the package costs nothing: the modules
behind these names, and torch with them, load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iis_engine.backbones.factory import load_backbone
    from iis_engine.data.datasets import read_image_folder
    from iis_engine.errors import EngineError
    from iis_engine.features.feature_set import FeatureSet, read_features
    from iis_engine.finetuning.finetuned_run import FinetunedRun
    from iis_engine.finetuning.history import EpochRecord
    from iis_engine.finetuning.report import compare_runs
    from iis_engine.finetuning.run import finetune
    from iis_engine.report import CurvePoint, IISReport
    from iis_engine.scoring.predictor import Predictor
    from iis_engine.scoring.score import fit_predictor, score
    from iis_engine.specs import BackboneSpec, ElementSpec, FinetuneSpec, LibrarySpec, Preprocessing, ScoreSpec, VisionLanguageSpec
    from iis_engine.vision_language.model import load_vision_language_model
    from iis_engine.vocabularies.phrases import Phrase, shipped

ENGINE_VERSION = "7"  # part of the key of everything computed: raise it when a number would change
ANALYSIS_VERSION = "3"  # the same for what is made of a study's rows

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
    "score",
    "shipped",
]

_HOMES = {
    "BackboneSpec": "specs",
    "CurvePoint": "report",
    "ElementSpec": "specs",
    "EngineError": "errors",
    "EpochRecord": "finetuning.history",
    "FeatureSet": "features.feature_set",
    "FinetuneSpec": "specs",
    "FinetunedRun": "finetuning.finetuned_run",
    "IISReport": "report",
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
    "score": "scoring.score",
    "shipped": "vocabularies.phrases",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
