"""The Open Inference Protocol without a worker: models, refusals in the form of the protocol, keys and tenants."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.inference.tensors import images_in, outputs_of
from iis_schemas.explanations.predictors import PredictionView
from iis_schemas.inference import InferenceRequest
from support.rows import Rows
from support.tenants import Tenant

IMAGE: dict[str, Any] = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(b"x").decode()]}


def test_a_job_is_a_model_and_its_predictors_are_its_versions(client: TestClient, rows: Rows) -> None:
    job = rows.explainable_job(nodes=(4, 2, 1))
    described = client.get(f"/v2/models/{job}").json()
    assert described == client.get(f"/v2/models/{job}/versions/2").json()
    assert (described["name"], described["versions"], described["platform"]) == (job, ["1", "2", "4"], "iis_predictor")
    assert described["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    shapes = {one["name"]: (one["datatype"], one["shape"]) for one in described["outputs"]}
    assert shapes["label"] == ("BYTES", [-1])
    assert shapes["contributions"] == ("FP64", [-1, -1])
    for path in (f"/v2/models/{job}/ready", f"/v2/models/{job}/versions/1/ready"):
        assert client.get(path).json() == {"name": job, "ready": True}


def test_the_server_describes_itself_without_a_key(client: TestClient) -> None:
    client.headers["Authorization"] = ""
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"live": True, "ready": True}
    assert client.get("/v2").json().keys() == {"name", "version", "extensions"}


def test_refusals_are_in_the_form_of_the_protocol(client: TestClient, rows: Rows) -> None:
    job, unfinished = rows.explainable_job(), rows.job()
    refusals = [
        (client.get(f"/v2/models/{job}", headers={"Authorization": ""}), 401),
        (client.get("/v2/models/job_00000000000000000000000000"), 404),
        *((client.get(f"/v2/models/{job}/versions/{version}"), 404) for version in ("3", "02", "9" * 5000)),
        (client.get(f"/v2/models/{job}/metadata"), 404),
        (client.get(f"/v2/models/{job}/metadata", headers={"Accept": "text/html"}), 404),
        (client.get(f"/v2/models/{unfinished}/ready"), 409),
        (client.post(f"/v2/models/{job}/infer", content=b"{"), 400),
        (client.post(f"/v2/models/{job}/infer", json={"inputs": []}), 400),
        (client.post(f"/v2/models/{job}/infer", headers={"Content-Length": str(2**40)}), 413),
    ]
    for refused, status in refusals:
        assert refused.status_code == status, refused.text
        assert refused.headers["content-type"] == "application/json"
        assert refused.headers["x-request-id"]
        assert refused.json().keys() == {"error"}
        assert refused.json()["error"]
    assert client.get("/v1/jobs/job_00000000000000000000000000").headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"inputs": [{**IMAGE, "name": "pixels"}]}, "takes one input, image"),
        ({"inputs": [IMAGE, IMAGE]}, "takes one input, image"),
        ({"inputs": [{**IMAGE, "datatype": "FP32"}]}, "not FP32"),
        ({"inputs": [{**IMAGE, "shape": [2]}]}, "with 1 elements"),
        ({"inputs": [{**IMAGE, "shape": [0], "data": []}]}, "with 0 elements"),
        ({"inputs": [{**IMAGE, "data": ["not base64!"]}]}, "Element 0 of the input image is not base64 text"),
        ({"inputs": [{**IMAGE, "data": [7]}]}, "Element 0 of the input image is not base64 text"),
        ({"inputs": [{**IMAGE, "shape": [65], "data": IMAGE["data"] * 65}]}, "65 images were sent"),
        ({"inputs": [IMAGE], "parameters": {"top": 0}}, "whole number from 1 to 100"),
        ({"inputs": [IMAGE], "parameters": {"top": True}}, "whole number from 1 to 100"),
        ({"inputs": [IMAGE], "outputs": [{"name": "logits"}]}, "no output logits"),
        ({"inputs": [IMAGE], "outputs": [{"name": "label"}, {"name": "concepts"}, {"name": "label"}]}, "names an output twice"),
        ({"inputs": [IMAGE], "outputs": [{"name": "label"}] * 9}, "outputs must have at most 8 items"),
        ({"inputs": [IMAGE] * 9}, "inputs must have at most 8 items"),
        ({"inputs": [{**IMAGE, "data": [""] * 1001}]}, "inputs[0].data must have at most 1000 items"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_before_a_worker_is_asked(
    client: TestClient, rows: Rows, key_for: Callable[..., dict[str, str]], changes: dict[str, Any], sentence: str
) -> None:
    refused = client.post(f"/v2/models/{rows.explainable_job()}/infer", json=changes, headers=key_for("read"))
    assert (refused.status_code, sentence in refused.json()["error"]) == (400, True), refused.text


def test_a_model_of_another_owner_is_absent(client: TestClient, rows: Rows, other_tenant: Tenant) -> None:
    job = rows.explainable_job()
    for path in (f"/v2/models/{job}", f"/v2/models/{job}/ready", f"/v2/models/{job}/versions/1/ready"):
        assert client.get(path, headers=other_tenant.headers).status_code == 404
    for path in (f"/v2/models/{job}/infer", f"/v2/models/{job}/versions/1/infer"):
        assert client.post(path, json={"inputs": [IMAGE]}, headers=other_tenant.headers).status_code == 404


def test_images_may_be_in_rows_or_flat() -> None:
    data = [base64.b64encode(content).decode() for content in (b"first", b"second")]
    for shape, elements in (([2], data), ([2, 1], data), ([2, 1], [[one] for one in data])):
        request = InferenceRequest.model_validate({"inputs": [{**IMAGE, "shape": shape, "data": elements}]})
        assert images_in(request) == [b"first", b"second"]


def test_outputs_are_tensors_in_row_major_order_and_padded() -> None:
    cat, owl = {"class": "cat", "index": 0}, {"class": "owl", "index": 1}
    share = {"concept": 7, "label": "whiskers", "activation": 2.0, "contribution": 0.5}
    predictions = [
        {**owl, "name": "a", "probability": 0.75, "probabilities": [{**owl, "probability": 0.75}, {**cat, "probability": 0.25}]},
        {**cat, "name": "b", "probability": 0.5, "probabilities": [{**cat, "probability": 0.5}, {**owl, "probability": 0.5}]},
    ]
    views = [
        PredictionView.model_validate({**one, "concepts": concepts})
        for one, concepts in zip(predictions, ([share, {**share, "concept": 3, "label": None}], [share]), strict=True)
    ]
    found = {
        one.name: (one.datatype, one.shape, one.data) for one in outputs_of(InferenceRequest.model_validate({"inputs": [IMAGE]}), views)
    }
    assert found == {
        "label": ("BYTES", [2], ["owl", "cat"]),
        "label_index": ("INT64", [2], [1, 0]),
        "probabilities": ("FP64", [2, 2], [0.25, 0.75, 0.5, 0.5]),
        "class_names": ("BYTES", [2], ["cat", "owl"]),
        "concepts": ("INT64", [2, 2], [7, 3, 7, -1]),
        "concept_names": ("BYTES", [2, 2], ["whiskers", "", "whiskers", ""]),
        "activations": ("FP64", [2, 2], [2.0, 2.0, 2.0, 0.0]),
        "contributions": ("FP64", [2, 2], [0.5, 0.5, 0.5, 0.0]),
    }
    asked = InferenceRequest.model_validate({"inputs": [IMAGE], "outputs": [{"name": "concepts"}, {"name": "label"}]})
    assert [one.name for one in outputs_of(asked, views)] == ["concepts", "label"]
