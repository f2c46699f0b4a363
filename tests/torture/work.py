"""Small jobs for attacks: clients that send them, their inputs, and the part of their results that must not vary."""

from __future__ import annotations

import hashlib
import io
import secrets
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
from PIL import Image

CLASSES = ("bright", "dark", "grey")
PER_CLASS = 12
FINISHED = {"succeeded", "failed", "canceled"}
TIMEOUT_SECONDS = 600


class OwnerClient:
    """An owner's requests, each repeated under its own Idempotency-Key until the service answers."""

    def __init__(self, url: str, key: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=20, trust_env=False)

    def post(self, path: str, body: dict[str, Any] | None = None, *, files: Any = None) -> dict[str, Any]:
        return self._until_answered("POST", path, json=body, files=files, headers={"Idempotency-Key": secrets.token_hex(8)})

    def get(self, path: str) -> dict[str, Any]:
        return self._until_answered("GET", path)

    def _until_answered(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        until = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < until:
            try:
                answer = self.http.request(method, path, **options)
            except httpx.HTTPError:
                time.sleep(0.2)
                continue
            if answer.status_code in {429, 503} or (answer.status_code == 409 and answer.json()["code"] == "idempotency_in_flight"):
                time.sleep(0.3)
                continue
            if answer.is_error:
                raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
            return answer.json()
        raise TimeoutError(f"{method} {path} was not answered within {TIMEOUT_SECONDS} s.")

    def upload(self, content: bytes, filename: str) -> str:
        form = {"file": (filename, content), "sha256": (None, hashlib.sha256(content).hexdigest())}
        return self.post("/v1/uploads/small", files=form)["id"]

    def until_finished(self, job_id: str) -> dict[str, Any]:
        while (job := self.get(f"/v1/jobs/{job_id}"))["state"] not in FINISHED:
            time.sleep(0.5)
        return job

    def until_ready(self, path: str) -> str:
        """Wait for the validation of a model or data set; returns its state."""
        until = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < until:
            row = self.get(path)
            if row["state"] != "pending":
                return row["state"]
            time.sleep(0.3)
        raise TimeoutError(f"{path} was not validated within {TIMEOUT_SECONDS} s.")


def images(seed: int) -> bytes:
    """An archive of class folders with images of random blocks, one brightness per class."""
    generator = np.random.default_rng(seed)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for label, level in zip(CLASSES, (170, 60, 110), strict=True):
            for index in range(PER_CLASS):
                blocks = generator.normal(level, 40, (16, 16, 3)).repeat(3, 0).repeat(3, 1)
                png = io.BytesIO()
                Image.fromarray(np.clip(blocks, 0, 255).astype(np.uint8)).save(png, "PNG")
                archive.writestr(f"{label}/{index}.png", png.getvalue())
    return buffer.getvalue()


def features(seed: int) -> bytes:
    """Ready features of three classes, with elements."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(3, 6)) * 2
    labels = np.repeat(np.arange(3), 30)
    arrays: dict[str, Any] = {
        name: (centres[labels] + generator.normal(size=(90, 6))).astype(np.float32) for name in ("X_train", "X_test", "concepts")
    }
    buffer = io.BytesIO()
    np.savez(buffer, y_train=labels, y_test=labels, **arrays)
    return buffer.getvalue()


def checkpoint() -> bytes:
    """Weights of a small network, always the same."""
    import timm
    import torch
    from safetensors.torch import save

    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=len(CLASSES))
    return save({name: tensor.contiguous() for name, tensor in network.state_dict().items()})


MODEL = {"architecture": "timm:test_resnet", "arguments": {"num_classes": len(CLASSES)}, "preprocessing": {"input_size": 32}}


class OwnerInputs:
    """An owner's model, images and ready features."""

    def __init__(self, caller: OwnerClient, weights: bytes) -> None:
        self.caller = caller
        self.model = self._ready("models", MODEL | {"upload": caller.upload(weights, "net.safetensors")})
        self.images = self._ready("datasets", {"kind": "images", "upload": caller.upload(images(0), "images.zip")})
        self.features = self._ready("datasets", {"kind": "features", "upload": caller.upload(features(0), "features.npz")})

    def _ready(self, resource: str, body: dict[str, Any]) -> str:
        while True:
            row = self.caller.post(f"/v1/{resource}", body)
            if self.caller.until_ready(row["links"]["self"]) == "ready":
                return row["id"]


def score_requests(inputs: OwnerInputs) -> Iterator[dict[str, Any]]:
    """Ten different score jobs."""
    patches = {"kind": "patches", "scales": [4], "images_per_class": 6}
    for count in (6, 9, 12, 15):
        yield {"kind": "score", "dataset": inputs.features, "library": {"kind": "prototype", "concept_count": count}}
    for kind in ("prototype", "cluster", "end2end"):
        for count in (6, 10):
            library = {"kind": kind, "concept_count": count}
            yield {"kind": "score", "model": inputs.model, "dataset": inputs.images, "library": library, "elements": patches}


def curve_values(caller: OwnerClient, job_id: str) -> Any:
    """A job's curves without the fields that identify the run."""
    found = caller.get(f"/v1/jobs/{job_id}/curves")
    return [
        {name: value for name, value in curve.items() if name not in {"id", "job", "links"}}
        for curve in sorted(found["data"], key=lambda curve: curve["name"])
    ]
