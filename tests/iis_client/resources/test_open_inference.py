"""Predictions by the Open Inference Protocol, from a running service."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from support.planted import CLASS_NAMES

if TYPE_CHECKING:
    from iis_client import IISClient
    from iis_client.transport.address import Address
    from support.planted import Planted

KEPT = 5


def infer(service: Address, path: str, images: list[Path], **fields: Any) -> httpx.Response:
    data = [base64.b64encode(image.read_bytes()).decode() for image in images]
    tensor = {"name": "image", "shape": [len(data)], "datatype": "BYTES", "data": data}
    headers = {"Authorization": f"Bearer {service.api_key}"}
    return httpx.post(f"{service.url}/v2/models/{path}/infer", json={"inputs": [tensor], **fields}, headers=headers, timeout=120)


@pytest.mark.slow
def test_inference_gives_the_predictions_of_the_predictor(
    service: Address, client: IISClient, image_job: str, planted: Planted, tmp_path: Path
) -> None:
    pictures = [min((planted.images / "test" / name).iterdir()) for name in CLASS_NAMES[:3]]
    answer = infer(service, f"{image_job}/versions/{KEPT}", pictures, id="42", parameters={"top": 2}).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == (image_job, str(KEPT), "42")
    outputs = {one["name"]: one for one in answer["outputs"]}
    expected = client.predict(client.predictor_of(image_job, kept=KEPT), *pictures, top=2)
    assert outputs["label"]["data"] == [one.class_ for one in expected]
    assert outputs["concepts"]["data"] == [share.concept for one in expected for share in one.concepts]
    assert outputs["contributions"]["data"] == pytest.approx([share.contribution for one in expected for share in one.concepts])
    assert outputs["contributions"]["shape"] == [3, 2]
    assert sum(outputs["probabilities"]["data"]) == pytest.approx(3)

    default = infer(service, image_job, pictures[:1], outputs=[{"name": "label"}]).json()
    assert default["model_version"] == str(client.predictor_of(image_job).kept)
    assert [one["name"] for one in default["outputs"]] == ["label"]
    assert "id" not in default

    (tmp_path / "text.png").write_text("not an image")
    refused = infer(service, image_job, [tmp_path / "text.png"])
    assert (refused.status_code, list(refused.json())) == (400, ["error"])
