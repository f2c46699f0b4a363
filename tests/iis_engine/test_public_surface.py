"""Public names of the engine."""

from __future__ import annotations

import subprocess
import sys

import iis_engine


def test_all_lists_exactly_the_public_names_and_all_of_them_exist() -> None:
    assert iis_engine.__all__ == [
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
    assert all(hasattr(iis_engine, name) for name in iis_engine.__all__)
    assert dir(iis_engine) == sorted(iis_engine.__all__)


def test_importing_the_package_and_its_plain_types_loads_no_torch() -> None:
    plain = ", ".join(
        f"iis_engine.{name}" for name in ("specs", "vocabularies.shipped", "report", "finetuning.history", "finetuning.report")
    )
    program = f"import sys, {plain}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "False"
