"""Errors are problem+json with a request id and without internal details."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text

from app.http.caching import MAX_WAIT_SECONDS, parse_wait
from app.models.repository import ModelRepository
from app.settings import Settings

FIELDS = {"type", "title", "status", "detail", "code", "request_id", "errors"}


def require_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == FIELDS
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"].endswith(f"/{code}")
    assert problem["request_id"] == response.headers["X-Request-Id"]
    return problem


def test_an_unknown_path_is_a_404(client: TestClient) -> None:
    require_problem(client.get("/nowhere"), 404, "not_found")
    require_problem(client.get("/v1/models/"), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/models", {"GET", "POST"}),
        ("/v1/models/mdl_x", {"GET", "PATCH", "DELETE"}),
        ("/v1/uploads/small", {"POST"}),  # the document lists this path; `small` is not an upload's id
        ("/v1/health/live", {"GET"}),
    ],
)
def test_a_405_lists_the_methods_of_the_path(client: TestClient, path: str, methods: set[str]) -> None:
    refused = client.put(path)
    require_problem(refused, 405, "method_not_allowed")
    assert set(refused.headers["Allow"].split(", ")) == methods


def test_malformed_and_oversized_bodies_are_refused(client: TestClient, app: FastAPI) -> None:
    json_type = {"Content-Type": "application/json"}
    require_problem(client.post("/v1/models", content=b"{", headers=json_type), 422, "invalid_input")
    require_problem(client.post("/v1/models", content=b'{"name": "\xff"}', headers=json_type), 422, "invalid_input")
    broken_form = {"Content-Type": "multipart/form-data; boundary=x"}
    require_problem(client.post("/v1/uploads/small", content=b"--x\r\nnull--x--", headers=broken_form), 422, "invalid_input")
    require_problem(client.post("/v1/models", content=b"[]", headers=json_type), 422, "invalid_input")
    require_problem(client.post("/v1/uploads/small", content=b"not a form"), 422, "invalid_input")
    app.state.settings.request_body_max_bytes = 100
    require_problem(client.post("/v1/models", content=b" " * 101, headers=json_type), 413, "too_large")
    require_problem(client.post("/v1/models", content=iter([b" " * 60, b" " * 60]), headers=json_type), 413, "too_large")
    keyed = client.post("/v1/models", content=iter([b" " * 101]), headers={**json_type, "Idempotency-Key": "k"})
    require_problem(keyed, 413, "too_large")


def test_every_invalid_field_is_named(client: TestClient) -> None:
    problem = require_problem(client.post("/v1/uploads", json={"filename": 3, "size_bytes": "many"}), 422, "invalid_input")
    assert {error["param"] for error in problem["errors"]} == {"filename", "size_bytes", "sha256"}
    assert all(error["message"] and error["code"] for error in problem["errors"])


def test_characters_that_postgresql_cannot_store_are_a_422(client: TestClient) -> None:
    require_problem(client.post("/v1/api-keys", json={"name": "a\0b"}), 422, "invalid_input")
    body = {"hub": {"name": "a/b", "revision": "c", "image_column": "a\0b"}}
    require_problem(client.post("/v1/datasets", json=body), 422, "invalid_input")


def test_an_unhandled_exception_is_a_500_without_details_and_a_log_record(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("app.models.repository.ModelRepository.listed", broken)
    with caplog.at_level(logging.ERROR):
        response = client.get("/v1/models", headers={"X-Request-Id": "sent-by-the-client"})
    problem = require_problem(response, 500, "internal_error")
    assert problem["request_id"] == "sent-by-the-client"
    assert "hunter2" not in response.text
    assert any("hunter2" in str(record.exc_info or record.msg) for record in caplog.records)


@pytest.mark.parametrize("given", ["", "x" * 129, "line\tbreak", "ü"])
def test_an_invalid_request_id_is_replaced(client: TestClient, given: str) -> None:
    answered = client.get("/v1/health/live", headers={b"X-Request-Id": given.encode()}).headers["X-Request-Id"]
    assert answered.startswith("req_")


def test_log_records_are_json_with_the_request_id(client: TestClient, capfd: pytest.CaptureFixture[str]) -> None:
    from app.logging import configure_logging

    configure_logging("info")
    client.get("/v1/models", headers={"X-Request-Id": "seen-in-the-log"})
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    line = next(line for line in lines if line.get("request_id") == "seen-in-the-log" and line["event"] == "request")
    assert (line["route"], line["status"], line["level"]) == ("/v1/models", 200, "info")


@pytest.mark.parametrize(
    ("sqlstate", "status", "code"),
    [("57P01", 503, "database_unavailable"), ("54000", 500, "internal_error"), ("22P02", 422, "invalid_input")],
)
def test_only_an_unavailable_database_is_a_503(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, sqlstate: str, status: int, code: str
) -> None:
    def refused(repository: ModelRepository, *_: Any) -> None:
        repository.session.execute(text(f"do $$ begin raise exception using errcode = '{sqlstate}'; end $$"))

    monkeypatch.setattr(ModelRepository, "listed", refused)
    require_problem(client.get("/v1/models"), status, code)


def test_unavailable_storage_is_a_503(client: TestClient, settings: Settings) -> None:
    Path(settings.storage_url.removeprefix("file://")).write_text("a file where the folder should be")
    refused = client.post("/v1/uploads/small", files={"file": ("a.bin", b"abc")})
    require_problem(refused, 503, "storage_unavailable")
    assert refused.headers["Retry-After"]
    assert client.get("/v1/uploads").json()["data"] == []
    require_problem(client.get("/v1/health/ready"), 503, "not_ready")


@pytest.mark.parametrize(
    ("prefer", "seconds"), [(None, 0), ("wait=5", 5), ("respond-async, wait=7", 7), ("wait=999", 60), ("wait=x", 0), ("await=5", 0)]
)
def test_prefer_wait_is_parsed_as_in_rfc_7240(prefer: str | None, seconds: int) -> None:
    assert parse_wait(prefer) == min(seconds, MAX_WAIT_SECONDS)
