"""Resume a stage in the next attempt: shards that a lost attempt has stored are not computed again."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from app.db.models import StageArtifact
from worker.jobs.pipeline import Pipeline, Stage
from worker.sandbox.process import ChildLost

if TYPE_CHECKING:
    from support.worker_service import Service

PER_CLASS = 8


def test_a_retry_resumes_after_the_last_stored_shard(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    model_id = service.add_tiny_model()
    dataset_id = service.add_dataset(images(), "images.zip", "images")
    for check in (service.add_job("check_model", None, model_id=model_id), service.add_job("check_dataset", dataset_id)):
        assert service.run(check) == "succeeded", service.job(check).error
    job_id = service.add_score(dataset_id, model_id, elements={"kind": "segments", "images_per_class": 5, "seed": 0})
    store_shard = Pipeline._store_shard

    def store_and_lose_child(pipeline: Pipeline, stage: Stage, path: Path) -> None:
        store_shard(pipeline, stage, path)
        raise ChildLost("The child process was killed by SIGKILL.")  # after which `ChildProcess.run` kills it

    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "_store_shard", store_and_lose_child)
        assert service.run(job_id) == "queued"
    with service.runtime.sessions() as session:
        assert len(session.scalars(select(StageArtifact).where(StageArtifact.stage.contains("/"))).all()) == 1
    before = len(service.events(job_id, "progress"))
    assert service.run(job_id) == "succeeded"
    reports = [event for event in service.events(job_id, "progress")[before:] if event["stage"] == "extract" and event["total"]]
    assert 0 < reports[0]["done"] < reports[0]["total"]


def images() -> bytes:
    """An archive of two classes that differ in brightness."""
    generator = np.random.default_rng(0)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for label, level in (("bright", 170), ("dark", 60)):
            for index in range(PER_CLASS):
                blocks = generator.normal(level, 40, (16, 16, 3)).repeat(12, 0).repeat(12, 1)
                png = io.BytesIO()
                Image.fromarray(np.clip(blocks, 0, 255).astype(np.uint8)).save(png, "PNG")
                archive.writestr(f"{label}/{index}.png", png.getvalue())
    return buffer.getvalue()
