"""The finetune job: results, the registered model, and the same numbers when processes are killed."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
import timm
from PIL import Image
from safetensors.torch import save
from sqlalchemy import func, select

from app.db import transitions
from app.db.models import Blob, FinetuneResult, Job, JobTask, Model, StageArtifact, Upload
from app.queue import wake_worker
from app.storage import is_referred_to
from worker.jobs.artifacts import OwnersArtifacts, StoredFile, shard_key
from worker.stages.files import epoch_file, epoch_of

if TYPE_CHECKING:
    from support.worker_service import Service

SEEDS = [0, 1, 2]
EPOCHS = 3
RUNS = [(arm, seed) for seed in SEEDS for arm in ("treatment", "control")]
COLOURS = {"red": (150, 90, 90), "green": (90, 150, 90), "blue": (90, 90, 150)}
PER_CLASS = 20


@pytest.mark.slow
def test_a_finetune_job_compares_its_arms_and_registers_the_best_treatment_run(service: Service) -> None:
    job_id = add_finetune(service, *inputs(service))
    assert service.run(job_id) == "succeeded", service.job(job_id).error
    findings, made = result_of(service, job_id)
    for arm in ("treatment", "control"):
        assert [run["seed"] for run in findings[arm]] == SEEDS
        assert all(0 < run["report"]["iis"] <= 1.2 and run["epochs"] == EPOCHS for run in findings[arm])
    assert epochs_of(service, job_id) == [(arm, seed, epoch) for arm, seed in RUNS for epoch in range(1, EPOCHS + 1)]
    gain = [run["report"]["iis"] - other["report"]["iis"] for run, other in zip(findings["treatment"], findings["control"], strict=True)]
    difference = findings["differences"]["iis"]["treatment_minus_control"]
    assert difference["values"] == pytest.approx(gain)
    assert difference["low"] <= difference["mean"] <= difference["high"]
    measures = ("accuracy", "iis", "accuracy_trained")
    assert findings["words"][:3] == [findings["differences"][name]["treatment_minus_control"]["sentence"] for name in measures]
    trained = [run["report"]["accuracy_trained"] for run in findings["treatment"]]
    assert findings["means"]["accuracy_trained"]["treatment"] == pytest.approx(np.mean(trained))
    assert any("kept these statistics" in warning for warning in findings["warnings"])  # nothing in a file says that it is untrained

    best = max(findings["treatment"], key=lambda run: run["validation_accuracy"])
    lineage = {"job": job_id, "parent": service.job(job_id).model_id, "seed": best["seed"], "epoch": best["best_epoch"], "weight": 1.0}
    assert (made.lineage, made.state) == (lineage, "ready")
    again = service.add_model(made.architecture, upload_id=made.upload_id, preprocessing=made.preprocessing, arguments=made.arguments)
    assert service.run(service.add_job("check_model", None, model_id=again)) == "succeeded"
    assert (service.model(again).digest, service.model(again).info) == (made.digest, made.info)
    with service.runtime.sessions() as session:
        upload = session.get_one(Upload, made.upload_id)
        assert (upload.owner_id, upload.state) == (service.owner_id, "complete")
        assert session.scalars(select(StageArtifact.stage).where(StageArtifact.stage.contains("/"))).all() == []
    with service.runtime.store.open(upload.sha256) as file:
        assert len(file.read()) == upload.size_bytes
    assert_nothing_needless_is_stored(service)
    assert_shared(service, job_id)


def assert_nothing_needless_is_stored(service: Service) -> None:
    """Assert that no epoch and no shard is left, neither as a row nor as a file."""
    with service.runtime.sessions() as session:
        referred_to = set(session.scalars(select(Blob.sha256).where(is_referred_to())))
        assert referred_to == set(session.scalars(select(Blob.sha256)))
    assert {path.name for path in (service.folder / "artifacts").rglob("*") if path.is_file()} == referred_to


def assert_shared(service: Service, job_id: str) -> None:
    """The untuned network is scored once, and the control of another weight is reused."""
    job = service.job(job_id)
    scored = service.add_score(job.dataset_id, job.model_id, library=LIBRARY | {"parts": []}, elements=ELEMENTS)
    assert service.run(scored) == "succeeded", service.job(scored).error
    states = {event["stage"]: event["state"] for event in service.events(scored, "stage")}
    assert {stage for stage, state in states.items() if state == "reused"} == {
        "extract",
        "libraries",
        "isotropic",
        "matched",
        "heads",
        "panel",
        "curve",
    }

    weighted = add_finetune(service, str(job.model_id), str(job.dataset_id), **{"lambda": 3.0, "seeds": SEEDS[:1]})
    assert service.run(weighted) == "succeeded"
    assert {(arm, seed) for arm, seed, _ in epochs_of(service, weighted)} == {("treatment", SEEDS[0])}
    assert result_of(service, weighted)[0]["control"] == result_of(service, job_id)[0]["control"][:1]


@pytest.mark.slow
def test_a_network_with_another_classifier_reuses_the_probe_but_no_training_run(service: Service) -> None:
    model_id, dataset_id = inputs(service)
    quick = {"trains": "head", "seeds": [0], "epochs": 1, "rebuild_every": None}
    first = add_finetune(service, model_id, dataset_id, **quick)
    assert service.run(first) == "succeeded", service.job(first).error
    _, made = result_of(service, first)
    assert made.digest == service.model(model_id).digest
    second = add_finetune(service, made.id, dataset_id, **quick)
    assert service.run(second) == "succeeded", service.job(second).error
    reused = {event["stage"] for event in service.events(second, "stage") if event["state"] == "reused"}
    assert reused == {"extract", "libraries", "isotropic", "matched", "heads", "panel", "curve"}
    assert epochs_of(service, second) == [("treatment", 0, 1), ("control", 0, 1)]


@pytest.mark.slow
@pytest.mark.timeout(900)  # three compute processes start and compute, on however many cores
def test_training_runs_on_two_workers_have_the_numbers_of_one(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {"trains": "head", "seeds": [0], "epochs": 2, "rebuild_every": None}
    service.warm_runtime.settings.task_seconds = 1e6
    alone = add_finetune(service, *inputs(service), **quick)
    assert service.run(alone) == "succeeded", service.job(alone).error

    service.become_another_owner()
    shared = add_finetune(service, *inputs(service), **quick)
    monkeypatch.setenv("IIS_TASK_SECONDS", "0")
    service.warm_runtime.settings.task_seconds = 0
    service.start_worker()
    running = service.run_aside(shared)
    service.wait_until(lambda: tasks_of(service, shared) or running.done(), 120, "the training runs to be tasks")
    assert service.compute.pid is not None
    own = psutil.Process(service.compute.pid)
    own.suspend()
    wake_worker(shared)
    service.wait_until(
        lambda: len({task.worker for task in tasks_of(service, shared) if task.worker}) == 2, 240, "the other worker to help"
    )
    own.resume()
    assert running.result(120) == "succeeded", service.job(shared).error

    (found, made), (expected, like) = result_of(service, shared), result_of(service, alone)
    assert timeless(found) == timeless(expected)
    assert made.digest == like.digest
    assert sorted(epochs_of(service, shared)) == sorted(epochs_of(service, alone))
    events = service.events(shared, "stage")
    ended = [(event["part"], event["worker"]) for event in events if event["state"] == "task" and event["stage"] == "finetune"]
    assert len(ended) == len({worker for _, worker in ended} - {service.runtime.name}) == 1
    finished = {(event["stage"], event.get("part")): event for event in events if event["state"] == "finished"}
    with service.runtime.sessions() as session:
        stages = session.scalars(select(Job.stages).where(Job.id == shared)).one() or []
    trained = [stage for stage in stages if stage["stage"] in ("finetune", "evaluate")]
    assert len(trained) == 4
    for stage in trained:
        event = finished[stage["stage"], stage["part"]]
        assert (stage["state"], stage["seconds"], stage["workers"]) == ("finished", event["seconds"], [event["worker"]])


@pytest.mark.slow
def test_a_job_whose_child_and_worker_are_killed_has_the_same_numbers(service: Service) -> None:
    undisturbed = add_finetune(service, *inputs(service), seeds=SEEDS[:2])
    assert service.run(undisturbed) == "succeeded", service.job(undisturbed).error
    service.become_another_owner()  # so that no stage is reused
    job_id = add_finetune(service, *inputs(service), seeds=SEEDS[:2])
    worker = service.start_worker()
    wake_worker(job_id)
    service.wait_until(lambda: len(epochs_of(service, job_id)) >= 1, 120, "an epoch of the first run")
    (compute,) = psutil.Process(worker.pid).children()
    compute.kill()
    service.wait_until(lambda: len(epochs_of(service, job_id)) >= EPOCHS + 2, 120, "an epoch in the middle of the second run")
    worker.kill()
    worker.wait()
    assert service.job(job_id).state == "running"
    service.start_worker()
    assert service.await_state(job_id, "succeeded", "failed", timeout_seconds=180).state == "succeeded"
    assert service.job(job_id).attempt == 3
    assert set(Counter(epochs_of(service, job_id)).values()) == {1}
    assert sorted(epochs_of(service, job_id)) == sorted(epochs_of(service, undisturbed))
    (found, made), (expected, like) = result_of(service, job_id), result_of(service, undisturbed)
    assert timeless(found) == timeless(expected)
    assert made.digest == like.digest


@pytest.mark.slow
def test_epochs_that_finish_faster_than_they_are_stored_have_events_but_are_not_all_stored(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, upload = list[int](), OwnersArtifacts.upload

    def slow_at_first(artifacts: OwnersArtifacts, key: str, stage: str, path: Path, check: Callable[[], None]) -> StoredFile:
        if epoch := epoch_of(path.name):
            begun.append(epoch)
            while len(begun) == 1 and not (path.parent / epoch_file(epoch + 3)).exists():
                check()
                time.sleep(0.01)
            if len(begun) == 2:
                add_later_epoch(service, stage.partition("/")[0], str(shards(service).popitem()[1]))
        return upload(artifacts, key, stage, path, check)

    monkeypatch.setattr(OwnersArtifacts, "upload", slow_at_first)
    job_id = add_finetune(service, *inputs(service), epochs=2000)
    running = service.run_aside(job_id)
    service.wait_until(lambda: len(begun) >= 4 or running.done(), 60, "some epochs")
    with service.runtime.sessions.begin() as session:
        transitions.request_cancel(session, session.get_one(Job, job_id))
    assert running.result(10) == "canceled"
    assert begun[0] == 1
    assert begun[1] >= 4
    epochs = [epoch for _, _, epoch in epochs_of(service, job_id)]
    assert epochs == list(range(1, len(epochs) + 1))
    kept = sorted(shards(service))
    assert kept == [epochs[-1], 1999]  # the newest epoch of this run, and a later one of another job
    with service.runtime.sessions() as session:
        assert session.get(FinetuneResult, job_id) is None
        assert session.scalar(select(func.count()).where(Model.lineage.is_not(None))) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"library": {"kind": "cluster", "concept_count": 5000}}, "only 240 visual elements"),
        ({"learning_rate": 1000.0, "optimizer": "sgd"}, "finite"),
    ],
)
def test_invalid_training_settings_fail_without_retry(service: Service, changes: dict[str, Any], words: str) -> None:
    job_id = add_finetune(service, *inputs(service), **changes)
    assert service.run(job_id) == "failed"
    job = service.job(job_id)
    assert job.error is not None
    assert job.attempt == 1
    assert words in job.error["message"]


def tasks_of(service: Service, job_id: str) -> list[JobTask]:
    """Tasks of a job's training runs."""
    with service.runtime.sessions() as session:
        return list(session.scalars(select(JobTask).where(JobTask.job_id == job_id, JobTask.stage == "finetune")))


LIBRARY = {"kind": "cluster", "concept_count": 6}
ELEMENTS = {"kind": "patches", "images_per_class": 5, "seed": 0}


def inputs(service: Service) -> tuple[str, str]:
    """A checked network of a few thousand weights and validated images of three colours that overlap."""
    import torch

    torch.manual_seed(0)
    weights = {
        name: tensor.contiguous() for name, tensor in timm.create_model("test_resnet", num_classes=len(COLOURS)).state_dict().items()
    }
    checkpoint = service.add_upload(save(weights), "tiny.safetensors")
    preprocessing = {"input_size": 32, "crop_pct": 1.0}
    model_id = service.add_model("timm:test_resnet", upload_id=checkpoint, arguments={"num_classes": 3}, preprocessing=preprocessing)
    dataset_id = service.add_dataset(coloured_images(), "colours.tar", "images")
    for check in (service.add_job("check_model", None, model_id=model_id), service.add_job("check_dataset", dataset_id)):
        assert service.run(check) == "succeeded", service.job(check).error
    return model_id, dataset_id


def coloured_images() -> bytes:
    content = io.BytesIO()
    generator = np.random.default_rng(0)
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, colour in COLOURS.items():
            for number in range(PER_CLASS):
                blocks = generator.normal(colour, 60, (4, 4, 3)).repeat(8, 0).repeat(8, 1)
                png = io.BytesIO()
                Image.fromarray(blocks.clip(0, 255).astype(np.uint8)).save(png, "PNG")
                info = tarfile.TarInfo(f"{name}/{number}.png")
                info.size = png.tell()
                png.seek(0)
                tar.addfile(info, png)
    return content.getvalue()


def add_finetune(service: Service, model_id: str, dataset_id: str, **choices: Any) -> str:
    """Queue a finetune job."""
    spec = {
        "model": model_id,
        "dataset": dataset_id,
        "library": LIBRARY,
        "elements": ELEMENTS,
        "sparsity": 0.1,
        "lambda": 1.0,
        "epochs": EPOCHS,
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "weight_decay": 0.01,
        "batch_size": 16,
        "accumulation_steps": 1,
        "warmup_epochs": 1,
        "trains": "all",
        "rebuild_every": 2,
        "patience": None,
        "precision": "auto",
        "seeds": SEEDS,
        **choices,
    }
    return service.add_job("finetune", dataset_id, spec, model_id=model_id)


def shards(service: Service) -> dict[int, str]:
    """The sha256 of each epoch that is stored."""
    with service.runtime.sessions() as session:
        rows = session.execute(select(StageArtifact.stage, StageArtifact.blob_sha256).where(StageArtifact.stage.contains("/epoch-")))
        return {epoch_of(stage.partition("/")[2]): sha256 for stage, sha256 in rows}


def add_later_epoch(service: Service, stage: str, sha256: str) -> None:
    """Store an epoch as another job with the same run would."""
    name = epoch_file(1999)
    with service.runtime.sessions.begin() as session:
        session.add(StageArtifact(owner_id=service.owner_id, key=shard_key(stage, name), stage=f"{stage}/{name}", blob_sha256=sha256))


def epochs_of(service: Service, job_id: str) -> list[tuple[str, int, int]]:
    """Arm, seed and number of each epoch event of a job, in order."""
    return [(event["arm"], event["seed"], event["epoch"]) for event in service.events(job_id, "epoch")]


def result_of(service: Service, job_id: str) -> tuple[dict[str, Any], Model]:
    with service.runtime.sessions() as session:
        result = session.get_one(FinetuneResult, job_id)
        return result.findings, session.get_one(Model, result.model_id)


def timeless(findings: dict[str, Any]) -> str:
    for run in findings["history"]:
        for epoch in run["epochs"]:
            del epoch["seconds"]
    return json.dumps(findings, sort_keys=True)
