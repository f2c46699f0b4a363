"""The running service over REST alone: from a checkpoint and images to score, curves and figures."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from support.digits import ARCHITECTURE, CLASSES, PIXELS, write_checkpoint, write_digits
from support.servers import WaitUntil
from support.stacks import RunningStack

IMAGES = 150


@pytest.fixture
def api(running_stack: RunningStack) -> Iterator[httpx.Client]:
    """A new account's access to the running service."""
    account = running_stack.new_account()
    with httpx.Client(base_url=account.url, headers={"Authorization": f"Bearer {account.api_key}"}, timeout=60) as client:
        yield client


def upload(api: httpx.Client, path: Path) -> str:
    content = path.read_bytes()
    declared = {"filename": path.name, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    created = api.post("/v1/uploads", json=declared)
    assert created.status_code == 201, created.text
    location = created.headers["Location"]
    assert api.put(f"{location}/parts/1", content=content).is_success
    completed = api.post(f"{location}/complete")
    assert completed.is_success, completed.text
    return completed.json()["id"]


def finished(api: httpx.Client, path: str, wait_until: WaitUntil, *states: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        body = api.get(path, headers={"Prefer": "wait=10"}).json()
        return body if body["state"] in states else None

    return wait_until(look, 180, f"{path} to finish")


@pytest.mark.timeout(600)
def test_a_checkpoint_and_images_are_scored_over_rest(api: httpx.Client, wait_until: WaitUntil, tmp_path: Path) -> None:
    archive = write_digits(tmp_path / "digits.zip", IMAGES)
    checkpoint = write_checkpoint(tmp_path / "untrained.safetensors")
    dataset = api.post("/v1/datasets", json={"name": "digits", "kind": "images", "upload": upload(api, archive)})
    assert dataset.status_code == 201, dataset.text
    model = api.post(
        "/v1/models",
        json={
            "name": "untrained",
            "architecture": ARCHITECTURE,
            "arguments": {"num_classes": CLASSES},
            "preprocessing": {"input_size": PIXELS},
            "upload": upload(api, checkpoint),
        },
    )
    assert model.status_code == 201, model.text
    for created in (dataset, model):
        checked = finished(api, created.headers["Location"], wait_until, "ready", "failed")
        assert checked["state"] == "ready", checked["error"]
    request = {
        "kind": "score",
        "model": model.json()["id"],
        "dataset": dataset.json()["id"],
        "library": {"kind": "cluster", "concept_count": 20},
        "elements": {"kind": "patches", "images_per_class": 4, "scales": [4]},
    }
    created = api.post("/v1/jobs", json=request)
    assert created.status_code == 201, created.text
    job = finished(api, created.headers["Location"], wait_until, "succeeded", "failed", "canceled")
    assert job["state"] == "succeeded", job["error"]

    result = api.get(job["links"]["result"]).json()
    assert result["report"]["iis_low"] <= result["report"]["iis"] <= result["report"]["iis_high"]
    curves = {curve["name"]: curve["points"] for curve in api.get(job["links"]["curves"]).json()["data"]}
    assert set(curves) == {"library", "isotropic", "matched"}
    figure = api.get(f"{job['links']['plots']}/arr.png")
    assert Image.open(io.BytesIO(figure.content)).format == "PNG"
    concepts = api.get(f"/v1/concept-libraries/{result['library']}/concepts").json()["data"]
    crop = api.get(f"/v1/concept-libraries/{result['library']}/exemplars/{concepts[0]['exemplars'][0]['crop']}")
    assert Image.open(io.BytesIO(crop.content)).format == "PNG"
    stage_events = [
        event["data"] for event in api.get(job["links"]["events"], params={"limit": 100}).json()["data"] if event["type"] == "stage"
    ]
    stages = [each["stage"] for each in stage_events]
    assert {each["stage"] for each in stage_events if each["state"] == "finished"} == set(stages)
    assert stages.index("materialise") < stages.index("extract") < stages.index("report")

    again = finished(api, api.post("/v1/jobs", json=request).headers["Location"], wait_until, "succeeded", "failed", "canceled")
    assert api.get(again["links"]["result"]).json()["report"] == result["report"]
    events = api.get(again["links"]["events"], params={"limit": 100}).json()["data"]
    assert {event["data"]["state"] for event in events if event["type"] == "stage"} == {"reused"}
