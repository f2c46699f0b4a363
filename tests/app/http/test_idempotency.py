"""Idempotency keys: repeated requests have one effect and one response."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update

from app.db.deletion.expiry import expire_idempotency_records
from app.db.models import Dataset, IdempotencyRecord, Job
from app.db.session import SessionFactory
from app.settings import Settings
from support.rows import Rows
from support.tenants import Tenant

BODY = {"hub": {"name": "a/b", "revision": "c"}, "name": "idempotent"}


def count(sessions: SessionFactory, owner_id: str) -> tuple[int, int]:
    with sessions() as session:
        data_sets = session.scalar(select(func.count()).select_from(Dataset).where(Dataset.owner_id == owner_id))
        jobs = session.scalar(select(func.count()).select_from(Job).where(Job.owner_id == owner_id))
    return data_sets or 0, jobs or 0


def test_a_repeated_post_creates_one_row_and_returns_the_same_response(
    client: TestClient, sessions: SessionFactory, tenant: Tenant
) -> None:
    first, second = (client.post("/v1/datasets", json=BODY, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second.headers["Location"] == first.headers["Location"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert count(sessions, tenant.owner_id) == (1, 1)


def test_another_body_with_the_same_key_is_refused(client: TestClient) -> None:
    client.post("/v1/datasets", json=BODY, headers={"Idempotency-Key": "k"})
    refused = client.post("/v1/datasets", json=BODY | {"name": "other"}, headers={"Idempotency-Key": "k"})
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


def test_two_owners_can_use_the_same_key(client: TestClient, other_tenant: Tenant) -> None:
    first = client.post("/v1/datasets", json=BODY, headers={"Idempotency-Key": "k"})
    second = client.post("/v1/datasets", json=BODY, headers={"Idempotency-Key": "k", **other_tenant.headers})
    assert first.json()["id"] != second.json()["id"]


def test_a_refused_request_can_be_corrected_with_the_same_key(client: TestClient) -> None:
    assert client.post("/v1/datasets", json={}, headers={"Idempotency-Key": "k"}).status_code == 422
    assert client.post("/v1/datasets", json=BODY, headers={"Idempotency-Key": "k"}).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_empty_or_too_long_key_is_refused(client: TestClient, key: str) -> None:
    assert client.post("/v1/datasets", json=BODY, headers={"Idempotency-Key": key}).status_code == 422


def test_an_idempotency_key_requires_authentication(client: TestClient) -> None:
    client.headers.pop("Authorization")
    assert client.post("/v1/datasets", json=BODY, headers={"Idempotency-Key": "k"}).status_code == 401


def test_a_second_request_while_the_first_is_in_flight_is_a_409_with_retry_after(
    app: FastAPI, live: httpx.Client, sessions: SessionFactory, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    from app.datasets import service

    create = service.create_dataset

    def slow(*arguments: Any) -> tuple[Dataset, bool]:
        entered.set()
        assert go_on.wait(20)
        return create(*arguments)

    monkeypatch.setattr(service, "create_dataset", slow)
    answers: list[httpx.Response] = []
    first = threading.Thread(target=lambda: answers.append(live.post("/v1/datasets", json=BODY, headers={"Idempotency-Key": "k"})))
    first.start()
    assert entered.wait(20)
    busy = live.post("/v1/datasets", json=BODY, headers={"Idempotency-Key": "k"})
    go_on.set()
    first.join()
    assert (busy.status_code, busy.json()["code"], busy.headers["Retry-After"]) == (409, "idempotency_in_flight", "1")
    assert answers[0].status_code == 201
    assert count(sessions, tenant.owner_id) == (1, 1)


CREATED = ("uploads", "uploads/small", "models", "datasets", "concept-sets", "jobs", "studies", "api-keys", "webhooks")


@pytest.mark.parametrize("path", CREATED)
def test_concurrent_identical_posts_create_one_resource(live: httpx.Client, rows: Rows, path: str) -> None:
    bodies: dict[str, Callable[[], dict[str, Any]]] = {
        "uploads": lambda: {"json": {"filename": "a", "size_bytes": 1, "sha256": "0" * 64}},
        "uploads/small": lambda: {"files": {"file": ("a.bin", b"abc")}},
        "models": lambda: {"json": {"architecture": "timm:resnet18", "pretrained": "a1_in1k"}},
        "datasets": lambda: {"json": BODY},
        "concept-sets": lambda: {"json": {"phrases": ["a loop"]}},
        "jobs": lambda: {"json": rows.request()},
        "studies": lambda: {"json": rows.study_request()},
        "api-keys": lambda: {"json": {"name": "another"}},
        "webhooks": lambda: {"json": {"url": "https://example.org/"}},
    }
    body, listed = bodies[path](), f"/v1/{path.partition('/')[0]}"
    before = {row["id"] for row in live.get(listed).json()["data"]}
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(live.post, f"/v1/{path}", headers={"Idempotency-Key": "k"}, **body) for _ in range(8)]
        answers = [request.result() for request in sent]
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    codes = {answer.json()["code"] for answer in answers if answer.status_code != 201}
    assert codes <= {"idempotency_in_flight"}
    assert {row["id"] for row in live.get(listed).json()["data"]} - before == made
    assert len(made) == 1


def test_a_crash_before_the_commit_leaves_neither_row_nor_key(
    client: TestClient, sessions: SessionFactory, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    import app.http.idempotency as module

    def crash(*_: Any) -> None:
        raise RuntimeError("the process died before the commit")

    with monkeypatch.context() as broken:
        broken.setattr(module, "_keep", crash)
        failed = client.post("/v1/datasets", json=BODY, headers={"Idempotency-Key": "k"})
        assert (failed.status_code, failed.json()["code"]) == (500, "internal_error")
        assert "died" not in failed.text
    assert count(sessions, tenant.owner_id) == (0, 0)
    assert client.post("/v1/datasets", json=BODY, headers={"Idempotency-Key": "k"}).status_code == 201
    assert count(sessions, tenant.owner_id) == (1, 1)


def test_a_key_expires_after_a_day(client: TestClient, sessions: SessionFactory, tenant: Tenant, settings: Settings) -> None:
    first = client.post("/v1/datasets", json=BODY, headers={"Idempotency-Key": "k"}).json()
    other = {**BODY, "split_seed": 1}
    assert client.post("/v1/datasets", json=other, headers={"Idempotency-Key": "k"}).status_code == 422
    long_ago = datetime.now(UTC) - timedelta(hours=25)
    with sessions.begin() as session:
        session.execute(update(IdempotencyRecord).where(IdempotencyRecord.owner_id == tenant.owner_id).values(created_at=long_ago))
    second = client.post("/v1/datasets", json=other, headers={"Idempotency-Key": "k"}).json()
    assert second["id"] != first["id"]
    with sessions.begin() as session:
        session.execute(update(IdempotencyRecord).where(IdempotencyRecord.owner_id == tenant.owner_id).values(created_at=long_ago))
    with sessions() as session:
        assert expire_idempotency_records(session, settings.idempotency_expiry_seconds) >= 1
