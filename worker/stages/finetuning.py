"""Stages of fine-tuning: train one run, score the tuned network, and compare treatment with control."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from worker.sandbox.messages import JsonObject
from worker.stages.datasets import open_images
from worker.stages.extraction import extract_dataset
from worker.stages.files import COMPARISON, FEATURES, REPORT, RunFiles, epoch_file, epoch_of
from worker.stages.reporter import Reporter
from worker.stages.specs import DatasetRequest, ModelRequest, element_spec, finetune_spec, open_backbone, score_spec

if TYPE_CHECKING:
    from iis_engine.finetuning.history import EpochRecord


def finetune(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: train one run -> best weights, head and history. Each finished epoch is reported as a shard with its record as details."""
    from safetensors.torch import save_file

    from iis_engine.features.feature_set import FeatureSet
    from iis_engine.finetuning.run import finetune as train

    shards = workspace / arguments["shard_folder"]
    folder = shards / "run"  # the engine deletes old files here, possibly before the worker has stored them
    folder.mkdir(parents=True, exist_ok=True)
    for path in shards.iterdir():
        if epoch_of(path.name):
            path.rename(folder / path.name)

    def on_epoch(record: EpochRecord) -> None:
        name = epoch_file(record.epoch)
        os.link(folder / name, shards / name)
        reporter.output(name, _json_safe(record.to_dict()))

    sources, files = arguments["sources"], RunFiles(arguments["arm"], arguments["seed"])
    run = train(
        open_backbone(ModelRequest.from_json(sources["model"])),
        open_images(workspace, DatasetRequest.from_json(sources["dataset"])),
        finetune_spec(arguments["spec"]),
        seed=arguments["seed"],
        weight=arguments["weight"],
        folder=folder,
        features=FeatureSet.load(workspace / FEATURES),
        progress=reporter.progress,
        on_epoch=on_epoch,
    )
    run.save(workspace / files.weights)
    save_file({"h": run.head}, workspace / files.head)
    history, warnings = [_json_safe(record.to_dict()) for record in run.history], list(run.warnings)
    report = {"epochs": history, "best_epoch": run.best_epoch, "stopped_early": run.stopped_early, "warnings": warnings}
    (workspace / files.history).write_text(json.dumps(report, allow_nan=False))
    return {"warnings": warnings}


def evaluate(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: score a tuned network -> report with the accuracy of its own head; and its digest and description."""
    from safetensors.torch import load_file

    from iis_engine.finetuning.start import head_accuracy
    from iis_engine.scoring.score import score_features

    files, score = RunFiles(arguments["arm"], arguments["seed"]), arguments["score"]
    backbone = open_backbone(replace(ModelRequest.from_json(arguments["model"]), checkpoint=str(workspace / files.weights)))
    info = backbone.describe()
    features = extract_dataset(backbone, workspace, arguments, element_spec(score["elements"]), reporter)
    report = score_features(features, score_spec(score), device=arguments["device"], progress=reporter.progress).to_dict()
    report["accuracy_trained"] = head_accuracy(load_file(workspace / files.head)["h"], features.X_test, features.y_test)
    warnings = list[str]()
    if info["preprocessing"] != arguments["preprocessing"]:
        warnings.append(
            "The preprocessing of the published weights cannot be expressed as overrides of the architecture's default, so the fine-tuned"
            " network is read and registered with a slightly different one; compare the preprocessing of both models."
        )
    (workspace / files.report).write_text(json.dumps(report, allow_nan=False))
    (workspace / files.checked).write_text(json.dumps({"digest": backbone.digest, "info": info}))
    return {"warnings": warnings}


def compare(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: differences between treatment and control over the seeds -> comparison.json."""
    from iis_engine.finetuning.report import compare_runs

    def reports(arm: str) -> list[JsonObject]:
        return [json.loads((workspace / RunFiles(arm, seed).report).read_text()) for seed in arguments["seeds"]]

    probe = json.loads((workspace / REPORT).read_text())
    found = compare_runs(probe, reports("treatment"), reports("control"), arguments["seeds"], arguments["trains"])
    (workspace / COMPARISON).write_text(json.dumps(found, allow_nan=False))
    reporter.progress(1, 1)
    return {}


def _json_safe(record: JsonObject) -> JsonObject:
    """A record with None in place of infinite and NaN values, which JSON does not have."""
    return {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in record.items()}
