"""A lost attempt at an extraction is not lost work: finished shards are given to the next one."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import psutil
from PIL import Image
from sqlalchemy import select

from app.db.models import StageArtifact

if TYPE_CHECKING:
    from ..conftest import Service

PER_CLASS = 8


def test_a_retry_goes_on_behind_the_last_finished_shard(service: Service) -> None:
    model_id = service.add_tiny_model()
    dataset_id = service.add_dataset(busy_images(), "busy.zip", "images")
    for check in (service.add_job("check_model", None, model_id=model_id), service.add_job("check_dataset", dataset_id)):
        assert service.run(check) == "succeeded", service.job(check).error
    job_id = service.add_score(dataset_id, model_id, elements={"kind": "segments", "images_per_class": 5, "seed": 0})
    first = service.run_aside(job_id)
    service.wait_until(lambda: "shard" in stage_states(service, job_id) or first.done(), 60, "a shard to be stored")
    assert service.compute.pid is not None
    psutil.Process(service.compute.pid).kill()
    assert first.result(60) == "queued"
    with service.runtime.sessions() as session:
        kept = session.scalars(select(StageArtifact.stage).where(StageArtifact.stage.contains("/"))).all()
    assert kept
    before = len(service.events(job_id, "progress"))
    service.run(job_id)
    reports = [event for event in service.events(job_id, "progress")[before:] if event["stage"] == "extract" and event["total"]]
    assert reports[0]["done"] > 0


def stage_states(service: Service, job_id: str) -> list[str]:
    return [event["state"] for event in service.events(job_id, "stage")]


def busy_images() -> bytes:
    """Images large enough that cutting segments takes longer than everything before it."""
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
