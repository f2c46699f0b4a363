"""Stages of jobs: golden digests of their keys, their use of the network, and which outputs are stored.

A changed key makes every stored output unreachable, so a refactoring must not change any.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app.db.models import Dataset, Model
from app.jobs.stage_titles import STAGE_TITLES
from worker.jobs import artifacts
from worker.jobs.attempt import Attempt
from worker.jobs.explain import ScoredJob, explain_stages
from worker.jobs.finetune import finetune_stages
from worker.jobs.inputs import reading_key
from worker.jobs.score import score_stages
from worker.jobs.score_request import ScoreRequest
from worker.jobs.stage import Stage
from worker.sandbox.outcomes import StageRefused

if TYPE_CHECKING:
    from support.worker_service import Service

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
    return {
        "library": library,
        "elements": ELEMENTS,
        "protocol": "exact",
        "activations": "calibrated",
        "seed": 0,
        "vocabulary": VOCABULARY,
        **choices,
    }


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


def explained(archive_sha256: str | None) -> list[Stage]:
    scored = ScoredJob("2" * 64, "3" * 64, [["red", "text"], [None, "cluster"]])
    return explain_stages(EXPLAIN, scored, NETWORK, archive_sha256)


def keys(stages: list[Stage]) -> list[str]:
    """Name and the beginning of the key of each stored stage."""
    return [f"{stage.name} {stage.key[:16]}" for stage in stages if stage.stored]


@pytest.fixture(autouse=True)
def _fixed_engine_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "ENGINE_VERSION", "golden")


def test_every_stage_keeps_its_key() -> None:
    found = {
        **{f"score, {name}": keys(score_stages(request)) for name, request in SCORES.items()},
        "score, library data set, fitting": keys(score_stages(SCORES["library data set"].fitting)),
        "finetune": keys(finetune_stages(FINETUNE, NETWORK, IMAGES, uploaded="8" * 64)),
        "explain, test set": keys(explained(None)),
        "explain, archive": keys(explained("9" * 64)),
    }
    assert found == json.loads(GOLDEN.read_text())


def test_features_and_library_of_other_scales_have_other_keys() -> None:
    fine, mixed = (
        {stage.name: stage.key for stage in score_stages(ScoreRequest(score(PROTOTYPE, elements=elements), NETWORK, IMAGES))}
        for elements in (ELEMENTS, ELEMENTS | {"scales": [1, 2, 4]})
    )
    assert {name for name, key in fine.items() if mixed[name] == key} == {"materialise"}


def test_every_stored_file_keeps_its_key() -> None:
    assert artifacts.output_key("4" * 64, "report.json") == "a275c0bacf2f53f54712b07215e19bc395a0ba71bc4e98e44ab49f57acacfe7b"
    assert artifacts.shard_key("4" * 64, "0.safetensors") == "2f91c1e43404a629c713cf22e53fb47737a24a8083a6b8589b0f90c12507f00e"
    assert reading_key(IMAGES) == "421659144379f631d092a4683a4dac0e1fdbf3017c1e162a36122d8eaa58db01"


def test_every_stage_of_a_job_has_a_title_and_no_title_is_left_over() -> None:
    scored = [stage for request in SCORES.values() for stage in score_stages(request)]
    tuned = finetune_stages(FINETUNE, NETWORK, IMAGES, uploaded=None)
    of_first_edition = {"control"}
    assert {stage.name for stage in [*scored, *tuned, *explained(None), *explained("9" * 64)]} == set(STAGE_TITLES) - of_first_edition


def test_only_stages_that_download_by_name_may_use_the_network() -> None:
    published, uploaded = ({"pretrained": "default"}, {"upload_id": "upload_1"})
    on_hub, archive = ({"hub": {"name": "a/b"}}, {"upload_id": "upload_2"})
    model_stages, text_stages = {"extract"}, {"embed_images", "embed_phrases", "embed_classes", "name"}
    for model, dataset, vlm, expected in (
        (published, archive, uploaded, model_stages),
        (uploaded, on_hub, uploaded, {"materialise"}),
        (uploaded, archive, published, text_stages),
        (uploaded, archive, uploaded, set[str]()),
        (published, on_hub, published, model_stages | text_stages | {"materialise"}),
    ):
        images = Dataset(kind="images", digest="c" * 64, info={"class_names": ["cat"]}, **dataset)
        stages = score_stages(ScoreRequest(score(COMBINED), Model(**model), images, Model(**vlm)))
        assert {stage.name for stage in stages if stage.network} == expected
    represent = {stage.name for stage in explained("9" * 64) if stage.network}
    training = {stage.name for stage in finetune_stages(FINETUNE, NETWORK, IMAGES, uploaded=None) if stage.network}
    assert (represent, training) == ({"represent"}, {"extract", "finetune"})


def test_only_stages_of_images_and_archives_leave_their_outputs_unstored() -> None:
    for stages, expected in (
        (score_stages(SCORES["images"]), ["materialise"]),
        (score_stages(SCORES["features"]), []),
        (explained("9" * 64), ["unpack"]),
        (explained(None), []),
    ):
        assert [stage.name for stage in stages if not stage.stored] == expected


def test_validation_uses_the_network_only_for_downloads(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    requested: list[tuple[str, bool]] = []

    def refuse(_: Attempt, stage: str, _arguments: object, *, network: bool) -> None:
        requested.append((stage, network))
        raise StageRefused("not_run", "This test runs no stage.", None)

    monkeypatch.setattr(Attempt, "run_stage", refuse)
    service.runtime.settings.allow_hub = True
    for source in ({"pretrained": "default"}, {"initial_seed": 0}):
        service.run(service.add_job("check_model", None, model_id=service.add_model("timm:resnet10t", **source)))
    sources: tuple[dict[str, Any], ...] = ({"hub": {"name": "a/b"}}, {"server_path": str(service.folder)})
    for source in sources:
        service.run(service.add_job("check_dataset", service.add_dataset(None, kind="images", **source)))
    assert requested == [("check_model", True), ("check_model", False), ("check_dataset", True), ("check_dataset", False)]
