"""iis_engine: how interpretable is a representation? The Inherent Interpretability Score (ICLR 2025) as a library.

`score` does it all; its stages, and everything they need, are public too. Importing the package costs nothing: the modules
behind these names, and torch with them, load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iis_engine.backbones import load_backbone
    from iis_engine.datasets import read_image_folder
    from iis_engine.errors import EngineError
    from iis_engine.features import FeatureSet, read_features
    from iis_engine.finetune_history import EpochRecord
    from iis_engine.finetune_report import compare_runs
    from iis_engine.finetuning import FinetunedRun, finetune
    from iis_engine.predictor import Predictor
    from iis_engine.report import CurvePoint, IISReport
    from iis_engine.scoring import fit_predictor, score
    from iis_engine.specs import BackboneSpec, ElementSpec, FinetuneSpec, LibrarySpec, Preprocessing, ScoreSpec, VisionLanguageSpec
    from iis_engine.vision_language import load_vision_language_model
    from iis_engine.vocabulary import Phrase, shipped

ENGINE_VERSION = "7"  # part of the key of everything computed: raise it when a number would change
ANALYSIS_VERSION = "2"  # the same for what is made of a study's rows

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
    "EpochRecord": "finetune_history",
    "FeatureSet": "features",
    "FinetuneSpec": "specs",
    "FinetunedRun": "finetuning",
    "IISReport": "report",
    "LibrarySpec": "specs",
    "Phrase": "vocabulary",
    "Predictor": "predictor",
    "Preprocessing": "specs",
    "ScoreSpec": "specs",
    "VisionLanguageSpec": "specs",
    "compare_runs": "finetune_report",
    "finetune": "finetuning",
    "fit_predictor": "scoring",
    "load_backbone": "backbones",
    "load_vision_language_model": "vision_language",
    "read_features": "features",
    "read_image_folder": "datasets",
    "score": "scoring",
    "shipped": "vocabulary",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
