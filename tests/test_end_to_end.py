"""The whole service, started by one command and used over REST only: from a checkpoint to score, curves and figures."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save
from sklearn.datasets import load_digits

from support.servers import WaitUntil

REPOSITORY = Path(__file__).parents[1]
IMAGES = 300
PIXELS = 32


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, wait_until: WaitUntil) -> Iterator[httpx.Client]:
    """The embedded stack on a folder of its own, as `python -m app.local up` starts it."""
    folder = tmp_path_factory.mktemp("stack")
    ready_file = folder / "ready.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IIS_")}
    command = [
        sys.executable,
        "-m",
        "app.local",
        "up",
        "--data-folder",
        str(folder / "data"),
        "--port",
        "0",
        "--ready-file",
        str(ready_file),
    ]
    with (folder / "stack.log").open("wb") as log:
        stack = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:

        def is_ready() -> bool:
            assert stack.poll() is None, (folder / "stack.log").read_text()
            return ready_file.exists()

        wait_until(is_ready, 90, "the stack to be ready")
        ready = json.loads(ready_file.read_text())
        key = Path(ready["api_key_file"]).read_text()
        with httpx.Client(base_url=ready["url"], headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
            yield client
    finally:
        if stack.poll() is None:
            stack.send_signal(signal.SIGTERM)
        assert stack.wait(60) == 0


def digits_zip() -> bytes:
    """Handwritten digits as class folders of PNG files."""
    digits: Any = load_digits()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for index, (pixels, label) in enumerate(zip(digits.images[:IMAGES], digits.target[:IMAGES], strict=True)):
            image = Image.fromarray((pixels * 255 / 16).astype(np.uint8)).resize((PIXELS, PIXELS))
            png = io.BytesIO()
            image.save(png, "PNG")
            archive.writestr(f"digits/{label}/{index:04d}.png", png.getvalue())
    return buffer.getvalue()


def checkpoint() -> bytes:
    """Weights of a small untrained network."""
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", num_classes=10)
    return save({name: tensor.contiguous() for name, tensor in network.state_dict().items()})


def upload(api: httpx.Client, content: bytes, filename: str) -> str:
    declared = {"filename": filename, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
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
def test_a_checkpoint_and_images_are_scored_over_rest(api: httpx.Client, wait_until: WaitUntil) -> None:
    dataset = api.post("/v1/datasets", json={"name": "digits", "kind": "images", "upload": upload(api, digits_zip(), "digits.zip")})
    assert dataset.status_code == 201, dataset.text
    model = api.post(
        "/v1/models",
        json={
            "name": "untrained",
            "architecture": "timm:resnet10t",
            "arguments": {"num_classes": 10},
            "preprocessing": {"input_size": PIXELS},
            "upload": upload(api, checkpoint(), "untrained.safetensors"),
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
        "elements": {"kind": "patches", "images_per_class": 4},
    }
    created = api.post("/v1/jobs", json=request)
    assert created.status_code == 201, created.text
    job = finished(api, created.headers["Location"], wait_until, "succeeded", "failed", "canceled")
    assert job["state"] == "succeeded", job["error"]

    result = api.get(job["links"]["result"]).json()
    assert result["report"]["iis_low"] <= result["report"]["iis"] <= result["report"]["iis_high"]
    curves = {curve["name"]: curve["points"] for curve in api.get(job["links"]["curves"]).json()["data"]}
    assert set(curves) == {"library", "random_control"}
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
