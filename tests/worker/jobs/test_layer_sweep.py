"""Score jobs on several layers of one network: one pass extracts the features that all of them wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from app.db.models import Result, Upload
from support.squares import squares_zip

if TYPE_CHECKING:
    from support.worker_service import Service

ELEMENTS = {"kind": "patches", "images_per_class": 5, "seed": 0, "scales": [2]}


@pytest.mark.slow
def test_the_first_job_extracts_the_features_of_the_layers_that_other_jobs_wait_for(service: Service) -> None:
    dataset_id = service.add_dataset(squares_zip(), "images.zip", "images")
    assert service.run(service.add_job("check_dataset", dataset_id)) == "succeeded"
    base = service.model(service.add_tiny_model())
    layers = ("layer3", "layer4", "layer99")
    models = [
        service.add_model(base.architecture, upload_id=base.upload_id, preprocessing=base.preprocessing, layer=name) for name in layers
    ]
    jobs = [service.add_score(dataset_id, model, elements=ELEMENTS) for model in models]
    assert service.run(jobs[0]) == "succeeded", service.job(jobs[0]).error
    assert [service.model(model).state for model in models] == ["ready", "ready", "pending"]  # the third is refused by its own check
    assert service.run(jobs[1]) == "succeeded", service.job(jobs[1]).error
    assert stages(service, jobs[0])["extract"] == "finished"
    assert stages(service, jobs[1])["extract"] == "reused"
    assert service.run(jobs[2]) == "failed"
    assert service.error_of(jobs[2])["code"] == "layer_unknown"

    service.become_another_owner()  # who has no features of it
    alone_data = service.add_dataset(squares_zip(), "images.zip", "images")
    assert service.run(service.add_job("check_dataset", alone_data)) == "succeeded"
    upload = service.add_upload(content_of(service, base.upload_id or ""), "tiny.safetensors")
    model = service.add_model(base.architecture, upload_id=upload, preprocessing=base.preprocessing, layer="layer4")
    alone = service.add_score(alone_data, model, elements=ELEMENTS)
    assert service.run(alone) == "succeeded", service.job(alone).error
    assert report_of(service, jobs[1])["points"] == report_of(service, alone)["points"]


def stages(service: Service, job: str) -> dict[str, str]:
    """By stage: its last state."""
    return {event["stage"]: event["state"] for event in service.events(job, "stage")}


def report_of(service: Service, job: str) -> dict[str, Any]:
    with service.runtime.sessions() as session:
        return session.get_one(Result, job).report


def content_of(service: Service, upload_id: str) -> bytes:
    with service.runtime.sessions() as session:
        sha256 = session.get_one(Upload, upload_id).sha256
    with service.runtime.store.open(sha256) as file:
        return file.read()
