"""What the parent asks for, as JSON, and the engine's own words for it. Runs in the compute process only."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def open_backbone(request: dict[str, Any]) -> Any:
    """The Backbone that a model's row describes."""
    from iis_engine.backbones.factory import load_backbone
    from iis_engine.specs import BackboneSpec

    spec = BackboneSpec(
        request["architecture"],
        request["arguments"],
        request["pretrained"],
        request["layer"],
        _preprocessing(request["preprocessing"]),
        request["initial_seed"],
    )
    return load_backbone(spec, _path(request["checkpoint"]), device=request["device"])


def open_vision_language_model(request: dict[str, Any]) -> Any:
    """The VisionLanguageModel that a model's row of that role describes."""
    from iis_engine.specs import VisionLanguageSpec
    from iis_engine.vision_language.model import load_vision_language_model

    spec = VisionLanguageSpec(
        request["architecture"], request["arguments"], request["pretrained"], _preprocessing(request["preprocessing"]), request["tokenizer"]
    )
    return load_vision_language_model(spec, _path(request["checkpoint"]), _path(request["text_checkpoint"]), device=request["device"])


def score_spec(request: dict[str, Any]) -> Any:
    """The ScoreSpec of a job's request."""
    from iis_engine.specs import ElementSpec, ScoreSpec

    return ScoreSpec(_library(request["library"]), ElementSpec(**request["elements"]), request["protocol"], request["seed"])


def finetune_spec(request: dict[str, Any]) -> Any:
    """The FinetuneSpec of a job's request."""
    from iis_engine.specs import ElementSpec, FinetuneSpec

    schedule = {name: value for name, value in request.items() if name not in ("library", "elements")}
    return FinetuneSpec(_library(request["library"]), ElementSpec(**request["elements"]), **schedule)


def _library(asked: dict[str, Any]) -> Any:
    from iis_engine.specs import LibrarySpec

    parts = tuple(_library(part) for part in asked.get("parts") or ())
    words = {name: asked[name] for name in ("clip_cutoff", "interpretability_cutoff", "native") if name in asked}
    return LibrarySpec(asked["kind"], asked["concept_count"], parts, **words)


def _preprocessing(given: dict[str, Any] | None) -> Any:
    from iis_engine.specs import Preprocessing

    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in (given or {}).items()}
    return Preprocessing(**values)


def _path(given: str | None) -> Path | None:
    return Path(given) if given else None
