"""Tenant isolation: every route is called with another owner's key."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from support.rows import Rows
from support.tenants import Tenant


class Answer(Protocol):
    """A response of the test client."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def text(self) -> str: ...


PUBLIC_PATHS = {"/v1/health/live", "/v1/health/ready", "/v1/metrics"}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/concept-libraries/{library_id}/nearest": {"json": {"vector": [1.0, 0.0, 0.0]}},
    "/v1/concept-sets/{concept_set_id}/versions": {"json": {"phrases": ["a loop"]}},
    "/v1/studies/{study_id}/extend": {"json": {}},
    "/v1/jobs/{job_id}/explanations": {"files": {"file": ("a.png", b"x")}},
    "/v1/jobs/{job_id}/explanations/{image}/heatmaps": {"params": {"concepts": 3}},
    "/v1/jobs/{job_id}/explanations/{image}/interventions": {"json": {}},
    "/v1/predictors/{predictor_id}/predict": {"files": {"file": ("a.png", b"x")}},
    "/v1/uploads/{upload_id}/parts/{number}": {"content": b"x"},
    "/v1/webhooks/{webhook_id}": {"json": {}},
    "/v1/models/{model_id}": {"json": {}},
    "/v1/datasets/{dataset_id}": {"json": {}},
    "/v1/jobs/{job_id}": {"json": {}},
    "/v1/studies/{study_id}": {"json": {}},
    "/v1/concept-libraries/{library_id}": {"json": {}},
}
QUERY_ROUTES = {
    "/v1/concept-libraries/{library_id}/nearest",
    "/v1/jobs/{job_id}/explanations",
    "/v1/jobs/{job_id}/explanations/{image}/interventions",
    "/v1/predictors/{predictor_id}/predict",
    "/v1/studies/estimate",
}
FILTERS = {
    "/v1/jobs": {"model": "scored_model", "dataset": "scored_dataset"},
    "/v1/predictors": {"job": "explainable"},
    "/v1/concept-libraries": {"job": "job_id", "model": "scored_model"},
    "/v1/leaderboard": {"dataset": "scored_dataset"},
    "/v1/shares": {"job": "job_id"},
}
"""Filters of lists, and the key of `owned` that each refers to."""


def operations(app: FastAPI) -> Iterator[tuple[str, str]]:
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            yield method.upper(), path


@pytest.fixture
def owned(client: TestClient, rows: Rows) -> dict[str, str]:
    """Ids and names of one resource of every kind that belongs to the tenant."""
    job_id, library_id = rows.succeeded_job()
    job = client.get(f"/v1/jobs/{job_id}").json()
    upload = client.post("/v1/uploads", json={"filename": "a", "size_bytes": 1, "sha256": "0" * 64}).json()["id"]
    key = client.get("/v1/api-keys").json()["data"][0]["id"]
    webhook = client.post("/v1/webhooks", json={"url": "https://example.org/"}).json()
    return {
        "explainable": rows.explainable_job(),
        "scored_model": job["model"],
        "scored_dataset": job["dataset"],
        "upload_id": upload,
        "number": "1",
        "model_id": rows.model(),
        "dataset_id": rows.dataset(),
        "concept_set_id": rows.concept_set(),
        "job_id": job_id,
        "library_id": library_id,
        "key_id": key,
        "crop": "41.png",
        "name": "arr",
        "plot_format": "png",
        "image": "0",
        "concept": "0",
        "class_name": "cat",
        "figure_format": "png",
        "predictor_id": client.get("/v1/predictors").json()["data"][0]["id"],
        "export_format": "onnx",
        "study_id": client.post("/v1/studies", json=rows.study_request()).json()["id"],
        "figure": "iis_accuracy",
        "webhook_id": webhook["id"],
        "delivery_id": client.post(webhook["links"]["test"]).json()["id"],
        "share_id": client.post("/v1/shares", json={"job": job_id}).json()["id"],
    }


def unused_id(identifier: str) -> str:
    """An id of the same form that does not exist."""
    return identifier[:-1] + ("0" if identifier[-1] != "0" else "1")


PER_REQUEST_HEADERS = {"x-request-id", "etag", "ratelimit", "ratelimit-policy"}


def require_same_answer(foreign: Answer, absent: Answer, names: Mapping[str, str]) -> None:
    """Check that two responses are identical except for the request id and `names` (absent id -> foreign id)."""
    texts = list[str]()
    for answer in (foreign, absent):
        headers = {name: text for name, text in answer.headers.items() if name not in PER_REQUEST_HEADERS}
        text = f"{answer.status_code} {sorted(headers.items())} {answer.text}".replace(answer.headers["x-request-id"], "")
        for absent_name, foreign_name in names.items():
            text = text.replace(absent_name, foreign_name)
        texts.append(text)
    assert texts[0] == texts[1]


def test_a_foreign_id_is_answered_as_a_missing_one(app: FastAPI, client: TestClient, owned: dict[str, str], other_tenant: Tenant) -> None:
    walked = set[tuple[str, str]]()
    for method, path in operations(app):
        names = re.findall(r"{(\w+)}", path)
        if not any(name.endswith("_id") for name in names):
            continue
        absent = owned | {name: unused_id(owned[name]) for name in names if name.endswith("_id")}
        foreign_answer, absent_answer = (
            client.request(method, path.format(**{name: ids[name] for name in names}), headers=other_tenant.headers, **BODIES.get(path, {}))
            for ids in (owned, absent)
        )
        assert (foreign_answer.status_code, foreign_answer.json()["code"]) == (404, "not_found"), f"{method} {path}"
        require_same_answer(foreign_answer, absent_answer, {absent[name]: owned[name] for name in names})
        walked.add((method, path))
    by_identifier = {name for _, path in walked for name in re.findall(r"{(\w+_id)}", path)}
    assert len(walked) >= 70
    assert by_identifier == {name for name in owned if name.endswith("_id")}
    resources = ("uploads", "models", "datasets", "concept-sets", "jobs", "predictors", "studies", "api-keys", "webhooks")
    for resource in resources:
        name = f"{resource.removesuffix('s').replace('-', '_').replace('api_', '').replace('studie', 'study')}_id"
        assert client.get(f"/v1/{resource}/{owned[name]}").status_code == 200


def test_a_foreign_sub_resource_is_answered_as_a_missing_one(
    app: FastAPI, client: TestClient, owned: dict[str, str], rows: Rows, other_rows: Rows, other_tenant: Tenant
) -> None:
    webhook = client.post("/v1/webhooks", json={"url": "https://example.org/"}, headers=other_tenant.headers).json()
    mine = owned | {"webhook_id": webhook["id"], "job_id": other_rows.explainable_job()}
    mine["image"] = rows.posted_image(owned["explainable"])
    walked = 0
    for method, path in operations(app):
        names = re.findall(r"{(\w+)}", path)
        part = next((name for name in ("delivery_id", "image") if name in names), None)
        if part is None:
            continue
        absent = mine | {part: unused_id(mine[part])}
        foreign_answer, absent_answer = (
            client.request(method, path.format(**{name: ids[name] for name in names}), headers=other_tenant.headers, **BODIES.get(path, {}))
            for ids in (mine, absent)
        )
        assert foreign_answer.status_code == 404, f"{method} {path}"
        require_same_answer(foreign_answer, absent_answer, {absent[part]: mine[part]})
        walked += 1
    assert walked >= 7


def test_lists_and_counts_do_not_depend_on_other_owners(
    app: FastAPI, client: TestClient, other_tenant: Tenant, request: pytest.FixtureRequest
) -> None:
    lists = [path for method, path in operations(app) if method == "GET" and "{" not in path and path not in PUBLIC_PATHS]

    def read_all() -> list[tuple[int, str]]:
        answers = [client.get(path, headers=other_tenant.headers) for path in lists]
        return [(answer.status_code, answer.text) for answer in answers]

    before = read_all()
    assert {status for status, _ in before} == {200}
    owned: dict[str, str] = request.getfixturevalue("owned")
    assert read_all() == before
    assert len(lists) >= 12
    for path, filters in FILTERS.items():
        for name, of in filters.items():
            foreign, absent = owned[of], unused_id(owned[of])
            answers = [client.get(path, params={name: named}, headers=other_tenant.headers) for named in (foreign, absent)]
            require_same_answer(answers[0], answers[1], {absent: foreign})
            assert client.get(path, params={name: foreign}).json()["data"]


def test_every_route_but_health_and_metrics_requires_a_key(app: FastAPI, client: TestClient, owned: dict[str, str]) -> None:
    client.headers.pop("Authorization")
    for method, path in operations(app):
        if path in PUBLIC_PATHS:
            continue
        at = path.format(**{name: owned[name] for name in re.findall(r"{(\w+)}", path)})
        answer = client.request(method, at, **BODIES.get(path, {"json": {}} if method == "POST" else {}))
        assert answer.status_code in {401, 422}, f"{method} {at}"
        if answer.status_code == 422:  # forms are parsed before authentication
            assert path in {"/v1/uploads/small", "/v1/jobs/{job_id}/explanations", "/v1/predictors/{predictor_id}/predict"}


def scope_of(method: str, path: str) -> str:
    if path.startswith(("/v1/api-keys", "/v1/webhooks")):
        return "admin"
    return "read" if method == "GET" or path in QUERY_ROUTES else "write"


def test_a_key_is_refused_outside_its_scopes(
    app: FastAPI, client: TestClient, owned: dict[str, str], key_for: Callable[..., dict[str, str]]
) -> None:
    keys = {held: key_for(*held) for held in (("read",), ("write",), ("admin",), ("read", "write"))}
    refused = dict.fromkeys(keys, 0)
    for (method, path), (held, headers) in itertools.product(operations(app), keys.items()):
        needed = scope_of(method, path)
        if path in PUBLIC_PATHS or needed in held:
            continue
        at = path.format(**{name: owned[name] for name in re.findall(r"{(\w+)}", path)})
        body = BODIES.get(path) or ({"files": {"file": ("a", b"x")}} if path == "/v1/uploads/small" else {})
        once = {"Idempotency-Key": "one"} if method == "POST" else {}
        answer = client.request(method, at, headers=headers | once, **body)
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing"), f"{method} {at}"
        assert f"needs a key with the scope {needed}; this key has: {', '.join(held)}." in answer.json()["detail"]
        refused[held] += 1
    assert min(refused.values()) >= 5
    assert {path for _, path in operations(app)} >= QUERY_ROUTES


def test_a_foreign_row_cannot_be_used_in_a_job(client: TestClient, rows: Rows, other_rows: Rows) -> None:
    body = {"kind": "score", "model": other_rows.model(), "dataset": rows.dataset(), "library": {"kind": "random"}}
    assert client.post("/v1/jobs", json=body).status_code == 404
    body |= {"model": rows.model(), "dataset": other_rows.dataset()}
    assert client.post("/v1/jobs", json=body).status_code == 404
    body |= {"dataset": rows.dataset(), "library": {"kind": "cluster"}}
    require_answer_of_missing_row(client, "/v1/jobs", other_rows.dataset(), lambda dataset: {**body, "library_dataset": dataset})


def test_a_foreign_row_cannot_be_used_in_a_study(client: TestClient, rows: Rows, other_rows: Rows) -> None:
    for path in ("/v1/studies", "/v1/studies/estimate"):
        for field, foreign in (
            ("models", other_rows.model()),
            ("datasets", other_rows.dataset()),
            ("library_datasets", other_rows.dataset()),
        ):
            body = rows.study_request()
            require_answer_of_missing_row(client, path, foreign, lambda named, body=body, field=field: {**body, field: [named]})
    study = client.post("/v1/studies", json=rows.study_request()).json()
    require_answer_of_missing_row(client, study["links"]["extend"], other_rows.model(), lambda model: {"models": [model]})


@pytest.mark.parametrize(("path", "fields"), [("/v1/models", {"architecture": "timm:resnet18"}), ("/v1/datasets", {})])
def test_a_foreign_upload_is_answered_as_a_missing_one(client: TestClient, other_tenant: Tenant, path: str, fields: dict[str, Any]) -> None:
    own, foreign = (
        client.post("/v1/uploads/small", files={"file": ("a.bin", b"abc")}, headers=headers).json()["id"]
        for headers in (None, other_tenant.headers)
    )
    assert client.post(path, json={**fields, "upload": own}).status_code == 201
    assert client.post(path, json={**fields, "upload": foreign}, headers=other_tenant.headers).status_code == 201
    require_answer_of_missing_row(client, path, foreign, lambda upload: {**fields, "upload": upload})


def test_a_foreign_row_cannot_be_used_in_a_concept_set(client: TestClient, rows: Rows, other_rows: Rows, other_tenant: Tenant) -> None:
    own, foreign = (
        client.post("/v1/uploads/small", files={"file": ("a.txt", b"a loop")}, headers=headers).json()["id"]
        for headers in (None, other_tenant.headers)
    )
    assert client.post("/v1/concept-sets", json={"upload": own}).status_code == 201
    require_answer_of_missing_row(client, "/v1/concept-sets", foreign, lambda upload: {"upload": upload})
    require_answer_of_missing_row(client, "/v1/concept-sets", other_rows.vlm(), lambda vlm: {"phrases": ["a loop"], "vlm": vlm})
    require_answer_of_missing_row(
        client, "/v1/concept-sets", other_rows.dataset(), lambda dataset: {"phrases": ["a loop"], "dataset": dataset}
    )
    require_answer_of_missing_row(client, "/v1/concept-sets", other_rows.dataset(), lambda dataset: {"from_classes": dataset})


def test_a_foreign_vlm_or_vocabulary_is_answered_as_a_missing_one(client: TestClient, rows: Rows, other_rows: Rows) -> None:
    body = rows.request(vlm=rows.vlm(), vocabulary=rows.concept_set())
    assert client.post("/v1/jobs", json=body).status_code == 201
    require_answer_of_missing_row(client, "/v1/jobs", other_rows.vlm(), lambda vlm: {**body, "vlm": vlm})
    require_answer_of_missing_row(client, "/v1/jobs", other_rows.concept_set(), lambda vocabulary: {**body, "vocabulary": vocabulary})
    tower = client.post("/v1/uploads/small", files={"file": ("a.onnx", b"image")}).json()["id"]
    foreign = f"upl_{other_rows.vlm().partition('_')[2]}"
    pair = {"role": "vlm", "architecture": "onnx", "upload": tower}
    require_answer_of_missing_row(client, "/v1/models", foreign, lambda upload: {**pair, "text_upload": upload})


def test_a_foreign_library_is_answered_as_a_missing_one(client: TestClient, rows: Rows, other_rows: Rows) -> None:
    job_id, own = rows.succeeded_job()
    foreign = other_rows.succeeded_job()[1]
    spec = client.get(f"/v1/jobs/{job_id}").json()

    def body(library: str) -> dict[str, Any]:
        return {"kind": "score", "model": spec["model"], "dataset": spec["dataset"], "library": {"id": library}}

    assert client.post("/v1/jobs", json=body(own)).status_code == 201
    require_answer_of_missing_row(client, "/v1/jobs", foreign, body)


def test_a_foreign_job_or_archive_is_answered_as_a_missing_one(
    client: TestClient, rows: Rows, other_rows: Rows, other_tenant: Tenant
) -> None:
    scored, foreign = rows.explainable_job(), other_rows.explainable_job()
    body = {"kind": "explain", "split": "test"}
    assert client.post("/v1/jobs", json={**body, "job": scored}).status_code == 201
    require_answer_of_missing_row(client, "/v1/jobs", foreign, lambda job: {**body, "job": job})
    archive = client.post("/v1/uploads/small", files={"file": ("a.zip", b"abc")}, headers=other_tenant.headers).json()["id"]
    require_answer_of_missing_row(client, "/v1/jobs", archive, lambda upload: {"kind": "explain", "job": scored, "upload": upload})


def require_answer_of_missing_row(client: TestClient, path: str, foreign: str, body: Callable[[str], dict[str, Any]]) -> None:
    """Check that a request that refers to a foreign row is answered as one that refers to a missing row."""
    absent = unused_id(foreign)
    foreign_answer, absent_answer = (client.post(path, json=body(named)) for named in (foreign, absent))
    assert foreign_answer.status_code == 404
    require_same_answer(foreign_answer, absent_answer, {absent: foreign})
