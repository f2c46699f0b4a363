"""Stages of fine-tuning in the compute process: a run with its checkpoints, the score of what it left, and the arms side by side."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from worker.stages.datasets import open_images
from worker.stages.extraction import extracted
from worker.stages.files import COMPARISON, FEATURES, REPORT, RunFiles, epoch_file, epoch_of
from worker.stages.reporter import Reporter
from worker.stages.specs import DatasetRequest, ModelRequest, finetune_spec, open_backbone, score_spec


def finetune(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """One run -> its best weights, its head and its history. Each finished epoch is announced as a shard, with what is known of it."""
    from safetensors.torch import save_file

    from iis_engine.features.feature_set import FeatureSet
    from iis_engine.finetuning.run import finetune as train

    announced = workspace / arguments["shard_folder"]
    folder = announced / "run"  # the engine drops old files here, which the parent may not have stored yet
    folder.mkdir(parents=True, exist_ok=True)
    for path in announced.iterdir():
        if epoch_of(path.name):
            path.rename(folder / path.name)

    def on_epoch(record: Any) -> None:
        name = epoch_file(record.epoch)
        os.link(folder / name, announced / name)
        tell.output(name, _plain(record.to_dict()))

    sources, files = arguments["sources"], RunFiles(arguments["arm"], arguments["seed"])
    run = train(
        open_backbone(ModelRequest.from_json(sources["model"])),
        open_images(workspace, DatasetRequest.from_json(sources["dataset"])),
        finetune_spec(arguments["spec"]),
        seed=arguments["seed"],
        weight=arguments["weight"],
        folder=folder,
        features=FeatureSet.load(workspace / FEATURES),
        progress=tell.progress,
        on_epoch=on_epoch,
    )
    run.save(workspace / files.weights)
    save_file({"h": run.head}, workspace / files.head)
    history, warnings = [_plain(record.to_dict()) for record in run.history], list(run.warnings)
    found = {"epochs": history, "best_epoch": run.best_epoch, "stopped_early": run.stopped_early, "warnings": warnings}
    (workspace / files.history).write_text(json.dumps(found, allow_nan=False))
    return {"warnings": warnings}


def evaluate(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The score of a fine-tuned network under the exact protocol, its accuracy with its own head, its digest, and what it is."""
    from safetensors.torch import load_file

    from iis_engine.finetuning.start import head_accuracy
    from iis_engine.scoring.score import score_features
    from iis_engine.specs import ElementSpec

    files, score = RunFiles(arguments["arm"], arguments["seed"]), arguments["score"]
    backbone = open_backbone(replace(ModelRequest.from_json(arguments["model"]), checkpoint=str(workspace / files.weights)))
    info = backbone.describe()
    features = extracted(backbone, workspace, arguments, ElementSpec(**score["elements"]), tell)
    report = score_features(features, score_spec(score), device=arguments["device"], progress=tell.progress).to_dict()
    report["accuracy_trained"] = head_accuracy(load_file(workspace / files.head)["h"], features.X_test, features.y_test)
    warnings = list[str]()
    if info["preprocessing"] != arguments["preprocessing"]:
        warnings.append(
            "The published weights come with a preprocessing of their own that cannot be written as overrides of the architecture's, so the"
            " fine-tuned network is read, and registered, with a slightly different one; see the preprocessing of both models."
        )
    (workspace / files.report).write_text(json.dumps(report, allow_nan=False))
    (workspace / files.checked).write_text(json.dumps({"digest": backbone.digest, "info": info}))
    return {"warnings": warnings}


def compare(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """What sets the arms apart, over seeds -> comparison.json."""
    from iis_engine.finetuning.report import compare_runs

    def reports(arm: str) -> list[dict[str, Any]]:
        return [json.loads((workspace / RunFiles(arm, seed).report).read_text()) for seed in arguments["seeds"]]

    probe = json.loads((workspace / REPORT).read_text())
    found = compare_runs(probe, reports("treatment"), reports("control"), arguments["seeds"], arguments["trains"])
    (workspace / COMPARISON).write_text(json.dumps(found, allow_nan=False))
    tell.progress(1, 1)
    return {}


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """A record that JSON can hold: what is no finite number is none."""
    return {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in record.items()}
