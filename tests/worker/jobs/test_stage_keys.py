"""Golden digests of stage keys. A changed key makes every stored output unreachable, so a refactoring must leave them as they are."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.db.models import Dataset, Model, Upload
from worker.jobs import artifacts
from worker.jobs.explain import Scored, explain_stages
from worker.jobs.finetune import finetune_stages
from worker.jobs.inputs import reading_key
from worker.jobs.pipeline import Stage
from worker.jobs.score import ScoreRequest, score_stages

GOLDEN = Path(__file__).with_name("stage_keys.json")
ELEMENTS = {"kind": "patches", "images_per_class": 10, "seed": 0}
PROTOTYPE = {"kind": "prototype", "concept_count": 8, "parts": []}
TEXT = {"kind": "text", "concept_count": None, "parts": [], "clip_cutoff": 0.25, "interpretability_cutoff": 0.1, "native": False}
COMBINED = {"kind": "combined", "concept_count": None, "parts": [TEXT, {"kind": "cluster", "concept_count": 4}]}
VOCABULARY = {"id": "colours", "version": None, "digest": "f" * 64}

NETWORK = Model(
    id="model_1",
    role="backbone",
    architecture="timm:resnet18",
    arguments={"in_chans": 3},
    pretrained="a1_in1k",
    layer="layer3",
    preprocessing={"input_size": 96},
    digest="a" * 64,
    info={"preprocessing": {"input_size": [96, 96], "resize_size": [108, 108], "mean": [0.5], "std": [0.25], "interpolation": "bicubic"}},
)
VLM = Model(id="model_2", role="vlm", architecture="open_clip:ViT-B-32", arguments={}, pretrained="openai", digest="b" * 64)
IMAGES = Dataset(
    id="dataset_1",
    kind="images",
    digest="c" * 64,
    split_seed=3,
    test_share=0.25,
    info={"class_names": ["cat", "dog"]},
    upload_id="upload_1",
)
OTHER_IMAGES = Dataset(
    id="dataset_2", kind="images", digest="d" * 64, split_seed=0, test_share=0.2, info={"class_names": ["oak"]}, server_path="/data/trees"
)
FEATURES = Dataset(id="dataset_3", kind="features", digest="e" * 64, split_seed=0, test_share=0.2, upload_id="upload_2")


def score(library: dict[str, Any], **choices: Any) -> dict[str, Any]:
    return {"library": library, "elements": ELEMENTS, "protocol": "exact", "seed": 0, "vocabulary": VOCABULARY, **choices}


SCORES = {
    "images": ScoreRequest(score(PROTOTYPE), NETWORK, IMAGES),
    "features": ScoreRequest(score(PROTOTYPE), None, FEATURES),
    "reference protocol": ScoreRequest(score(PROTOTYPE, protocol="reference", seed=2), NETWORK, IMAGES),
    "text": ScoreRequest(score(TEXT), NETWORK, IMAGES, VLM),
    "combined": ScoreRequest(score(COMBINED), NETWORK, IMAGES, VLM),
    "named concepts": ScoreRequest(score(PROTOTYPE), NETWORK, IMAGES, VLM),
    "library fitted before": ScoreRequest(score(PROTOTYPE), NETWORK, IMAGES, library_key="1" * 64),
    "library data set": ScoreRequest(score(PROTOTYPE), NETWORK, IMAGES, VLM, library_dataset=OTHER_IMAGES),
}
FINETUNE = {
    "library": {"kind": "prototype", "concept_count": 8},
    "elements": ELEMENTS,
    "seeds": [0, 1],
    "lambda": 0.5,
    **{"sparsity": 0.9, "epochs": 3, "optimizer": "adamw", "learning_rate": 1e-4, "weight_decay": 0.01, "batch_size": 8},
    **{"accumulation_steps": 1, "warmup_epochs": 1, "trains": "everything", "rebuild_every": 1, "patience": 2, "precision": "float32"},
}
EXPLAIN = {"kept": 4, "top": 8, "contrast": None}


def explained(upload: str | None) -> list[Stage]:
    rows = SimpleNamespace(
        job=SimpleNamespace(spec={**EXPLAIN, "upload": upload}), model=NETWORK, uploads={"upload_3": Upload(sha256="9" * 64)}
    )
    scored = Scored("2" * 64, "3" * 64, [["red", "text"], [None, "cluster"]])
    return explain_stages(SimpleNamespace(rows=rows), scored)  # pyright: ignore[reportArgumentType]


def keys(stages: list[Stage]) -> list[str]:
    """Stage and the beginning of its key, one a line."""
    return [f"{stage.name} {stage.key[:16]}" for stage in stages]


@pytest.fixture(autouse=True)
def _fixed_engine_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "ENGINE_VERSION", "golden")


def test_every_stage_keeps_its_key() -> None:
    found = {
        **{f"score, {name}": keys(score_stages(request)) for name, request in SCORES.items()},
        "score, library data set, fitting": keys(score_stages(SCORES["library data set"].fitting)),
        "finetune": keys(finetune_stages(FINETUNE, NETWORK, IMAGES, uploaded="8" * 64)),
        "explain, test set": keys(explained(None)),
        "explain, archive": keys(explained("upload_3")),
    }
    assert found == json.loads(GOLDEN.read_text())


def test_every_stored_file_keeps_its_key() -> None:
    assert artifacts.output_key("4" * 64, "report.json") == "a275c0bacf2f53f54712b07215e19bc395a0ba71bc4e98e44ab49f57acacfe7b"
    assert artifacts.shard_key("4" * 64, "0.safetensors") == "2f91c1e43404a629c713cf22e53fb47737a24a8083a6b8589b0f90c12507f00e"
    assert reading_key(IMAGES) == "421659144379f631d092a4683a4dac0e1fdbf3017c1e162a36122d8eaa58db01"
