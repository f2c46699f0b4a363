"""Uploads: parts in any order, resumption, checksums, deduplication, expiry, and no partial files."""

from __future__ import annotations

import hashlib
import http.client
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import update

from app.db.models import Blob, Upload
from app.db.session import SessionFactory
from app.settings import Settings
from app.storage import ArtifactStore, StorageUnavailable
from app.storage.upload_expiry import expire_uploads
from support.servers import WaitUntil
from support.tenants import Tenant

CONTENT = random.Random(7).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PARTS = {1: CONTENT[:100_000], 2: CONTENT[100_000:250_000], 3: CONTENT[250_000:]}


def declare(client: Any, content: bytes = CONTENT, **changes: Any) -> Any:
    body = {"filename": "net.safetensors", "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return client.post("/v1/uploads", json=body | changes)


def send(client: Any, upload: dict[str, Any], number: int, content: bytes) -> Any:
    return client.put(upload["links"]["parts"].format(number=number), content=content)


def stored_files(settings: Settings) -> list[str]:
    root = Path(settings.storage_url.removeprefix("file://"))
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_parts_in_any_order_are_joined_by_number(client: TestClient, store: ArtifactStore, settings: Settings) -> None:
    created = declare(client)
    assert created.status_code == 201
    upload = created.json()
    assert created.headers["Location"] == upload["links"]["self"]
    for number in (3, 1, 2):
        sent = send(client, upload, number, PARTS[number])
        assert sent.json() == {"number": number, "size_bytes": len(PARTS[number]), "sha256": hashlib.sha256(PARTS[number]).hexdigest()}
    shown = client.get(upload["links"]["self"]).json()
    assert [part["number"] for part in shown["parts"]] == [1, 2, 3]
    assert shown["received_bytes"] == len(CONTENT)
    done = client.post(upload["links"]["complete"])
    assert (done.status_code, done.json()["state"]) == (200, "complete")
    with store.open(SHA256) as file:
        assert file.read() == CONTENT
    assert stored_files(settings) == [f"sha256/{SHA256[:2]}/{SHA256}"]
    assert client.post(f"/v1/uploads/{upload['id']}/complete").json() == done.json()


def test_parts_can_be_sent_concurrently(live: httpx.Client, app: FastAPI) -> None:
    app.state.settings.upload_part_min_bytes = 20_000
    pieces = [CONTENT[start : start + 20_000] for start in range(0, len(CONTENT), 20_000)]
    upload = declare(live).json()
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(send, live, upload, number, piece) for number, piece in enumerate(pieces, start=1)]
    assert {part.result().status_code for part in sent} == {200}
    assert live.post(upload["links"]["complete"]).json()["state"] == "complete"


def test_a_repeated_part_replaces_a_damaged_one(client: TestClient, settings: Settings) -> None:
    upload = declare(client).json()
    send(client, upload, 1, PARTS[1])
    send(client, upload, 2, b"\0" * len(PARTS[2]))
    send(client, upload, 3, PARTS[3])
    refused = client.post(upload["links"]["complete"])
    assert refused.status_code == 422
    assert refused.json()["code"] == "sha256_mismatch"
    assert SHA256 in refused.json()["detail"]
    assert len(client.get(upload["links"]["self"]).json()["parts"]) == 3
    assert all(name.startswith("parts/") for name in stored_files(settings))
    send(client, upload, 2, PARTS[2])
    send(client, upload, 2, PARTS[2])
    assert client.post(upload["links"]["complete"]).json()["state"] == "complete"


def test_missing_parts_and_bytes_are_named(client: TestClient) -> None:
    upload = declare(client).json()
    assert client.post(upload["links"]["complete"]).json()["code"] == "parts_missing"
    send(client, upload, 1, PARTS[1])
    send(client, upload, 3, PARTS[3])
    refused = client.post(upload["links"]["complete"])
    assert (refused.status_code, refused.json()["code"]) == (422, "parts_missing")
    assert "Part 2 " in refused.json()["detail"]
    short = declare(client, filename="short.bin").json()
    send(client, short, 1, PARTS[1])
    refused = client.post(short["links"]["complete"])
    assert (refused.status_code, refused.json()["code"]) == (422, "size_mismatch")


def test_more_bytes_than_declared_are_refused_part_by_part(client: TestClient, settings: Settings) -> None:
    upload = declare(client, size_bytes=10).json()
    refused = send(client, upload, 1, b"eleven byte")
    assert (refused.status_code, refused.json()["code"]) == (422, "size_mismatch")
    assert send(client, upload, 1, b"").json()["code"] == "part_empty"
    assert stored_files(settings) == []


def test_racing_parts_keep_no_more_than_was_declared(live: httpx.Client, settings: Settings) -> None:
    content = random.Random(8).randbytes(100_000)
    upload = declare(live, content, size_bytes=250_000).json()
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(send, live, upload, number, content) for number in range(1, 25)]
    answers = Counter((part.result().status_code, part.result().json().get("code")) for part in sent)
    assert answers == {(200, None): 2, (422, "size_mismatch"): 22}
    assert live.get(upload["links"]["self"]).json()["received_bytes"] == 200_000
    assert len(stored_files(settings)) == 2


def test_an_upload_of_one_byte_takes_no_more_scratch_space_than_that(client: TestClient, settings: Settings) -> None:
    upload = declare(client, b"x").json()
    scratch: list[int] = []

    def body() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 1_000_000
            scratch.append(sum(path.stat().st_size for path in settings.scratch_folder.iterdir()))

    refused = client.put(upload["links"]["parts"].format(number=1), content=body())
    assert (refused.status_code, refused.json()["code"]) == (422, "size_mismatch")
    assert max(scratch) == 0


def test_one_part_may_be_small_and_a_second_one_is_refused(client: TestClient) -> None:
    upload = declare(client, b"x" * 10_000).json()
    assert upload["part_min_bytes"] == 65_536
    assert send(client, upload, 7, b"x").status_code == 200
    for number in (6, 8):
        refused = send(client, upload, number, b"x")
        assert (refused.status_code, refused.json()["code"]) == (422, "part_too_small")
        assert "65536" in refused.json()["detail"]
    assert send(client, upload, 7, b"y").status_code == 200
    assert [part["number"] for part in client.get(upload["links"]["self"]).json()["parts"]] == [7]


@pytest.mark.parametrize("number", ["0", "-1", "10001", "one"])
def test_a_part_number_out_of_range_is_refused(client: TestClient, number: str) -> None:
    upload = declare(client).json()
    assert client.put(f"/v1/uploads/{upload['id']}/parts/{number}", content=b"x").status_code == 422


def test_the_same_content_again_is_complete_at_once_but_only_for_its_owner(client: TestClient, other_tenant: Tenant) -> None:
    upload = declare(client).json()
    for number, content in PARTS.items():
        send(client, upload, number, content)
    client.post(upload["links"]["complete"])
    again = declare(client, filename="again.safetensors")
    assert (again.status_code, again.json()["state"], again.json()["filename"]) == (201, "complete", "again.safetensors")
    body = {"filename": "x", "size_bytes": len(CONTENT), "sha256": SHA256}
    assert client.post("/v1/uploads", json=body, headers=other_tenant.headers).json()["state"] == "open"


def test_a_complete_upload_takes_no_more_parts(client: TestClient) -> None:
    upload = declare(client).json()
    for number, content in PARTS.items():
        send(client, upload, number, content)
    client.post(upload["links"]["complete"])
    refused = send(client, upload, 1, PARTS[1])
    assert (refused.status_code, refused.json()["code"]) == (409, "upload_complete")


def test_a_part_above_the_limit_is_refused_before_it_is_read(client: TestClient, app: FastAPI) -> None:
    app.state.settings.upload_part_max_bytes = 1000
    upload = declare(client).json()
    assert upload["part_max_bytes"] == 1000
    declared = send(client, upload, 1, b"x" * 1001)
    assert (declared.status_code, declared.json()["code"]) == (413, "too_large")
    streamed = client.put(upload["links"]["parts"].format(number=1), content=iter([b"x" * 600, b"x" * 600]))
    assert (streamed.status_code, streamed.json()["code"]) == (413, "too_large")
    assert streamed.headers["content-type"] == "application/problem+json"


def test_an_aborted_request_leaves_no_files(live_url: str, tenant: Tenant, settings: Settings, wait_until: WaitUntil) -> None:
    address = urlsplit(live_url)
    upload = declare(httpx.Client(base_url=live_url, headers=tenant.headers)).json()
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.putrequest("PUT", f"/v1/uploads/{upload['id']}/parts/1")
    for name, value in (tenant.headers | {"Content-Length": "100000"}).items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(b"x" * 50_000)
    wait_until(lambda: list(settings.scratch_folder.iterdir()), 10, "the part to begin to arrive")
    connection.close()
    wait_until(lambda: not list(settings.scratch_folder.iterdir()), 10, "the half part to go")
    assert stored_files(settings) == []
    assert httpx.get(f"{live_url}/v1/uploads/{upload['id']}", headers=tenant.headers).json()["parts"] == []


def test_an_open_upload_expires_with_its_parts(
    client: TestClient, store: ArtifactStore, settings: Settings, sessions: SessionFactory
) -> None:
    upload, kept = declare(client).json(), declare(client).json()
    send(client, upload, 1, PARTS[1])
    with sessions.begin() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(update(Upload).where(Upload.id == upload["id"]).values(expires_at=past))
    late = send(client, upload, 2, PARTS[2])
    assert (late.status_code, late.json()["code"]) == (409, "upload_expired")
    with sessions() as session:
        assert expire_uploads(session, store) >= 1
    assert client.get(upload["links"]["self"]).status_code == 404
    assert client.get(kept["links"]["self"]).status_code == 200
    assert stored_files(settings) == []


def parts_cannot_be_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise StorageUnavailable("Storage did not answer.")

    monkeypatch.setattr(ArtifactStore, "delete_parts", away)
    monkeypatch.setattr(ArtifactStore, "delete_part", away)


def test_an_upload_is_completed_even_if_its_parts_cannot_be_deleted(
    client: TestClient, store: ArtifactStore, settings: Settings, sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, kept = declare(client).json(), declare(client).json()
    send(client, kept, 1, PARTS[1])
    for number, content in PARTS.items():
        send(client, upload, number, content)
    with monkeypatch.context() as broken:
        parts_cannot_be_removed(broken)
        done = client.post(upload["links"]["complete"])
    assert (done.status_code, done.json()["state"]) == (200, "complete")
    assert len([name for name in stored_files(settings) if name.startswith(f"parts/{upload['id']}/")]) == len(PARTS)
    with sessions() as session:
        expire_uploads(session, store)
    part = f"parts/{kept['id']}/1-{hashlib.sha256(PARTS[1]).hexdigest()}"
    assert stored_files(settings) == [part, f"sha256/{SHA256[:2]}/{SHA256}"]


def test_undeletable_parts_of_a_deleted_upload_are_swept_later(
    client: TestClient, store: ArtifactStore, settings: Settings, sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = declare(client).json()
    send(client, upload, 1, PARTS[1])
    with monkeypatch.context() as broken:
        parts_cannot_be_removed(broken)
        assert send(client, upload, 1, PARTS[2]).status_code == 200  # what it replaces stays
        assert client.delete(upload["links"]["self"]).status_code == 204
    assert client.get(upload["links"]["self"]).status_code == 404
    assert len(stored_files(settings)) == 2
    with sessions() as session:
        expire_uploads(session, store)
    assert stored_files(settings) == []


def test_an_open_upload_can_be_deleted(client: TestClient, settings: Settings) -> None:
    upload = declare(client).json()
    send(client, upload, 1, PARTS[1])
    assert client.delete(upload["links"]["self"]).status_code == 204
    assert client.get(upload["links"]["self"]).status_code == 404
    assert stored_files(settings) == []


def test_a_complete_upload_can_be_deleted_while_it_is_unused(client: TestClient) -> None:
    upload = client.post("/v1/uploads/small", files={"file": ("net.safetensors", CONTENT)}).json()
    model = client.post("/v1/models", json={"architecture": "timm:resnet18", "upload": upload["id"]})
    assert model.status_code == 201
    refused = client.delete(upload["links"]["self"])
    assert (refused.status_code, refused.json()["code"]) == (409, "upload_in_use")
    unused = client.post("/v1/uploads/small", files={"file": ("other.safetensors", CONTENT + b"!")}).json()
    assert client.delete(unused["links"]["self"]).status_code == 204
    assert client.get(unused["links"]["self"]).status_code == 404


def test_a_small_file_is_uploaded_in_one_request(client: TestClient, store: ArtifactStore, sessions: SessionFactory) -> None:
    sent = client.post("/v1/uploads/small", files={"file": ("../etc/net.npz", CONTENT)}, data={"sha256": SHA256})
    assert sent.status_code == 201
    assert (sent.json()["state"], sent.json()["filename"], sent.json()["sha256"]) == ("complete", "net.npz", SHA256)
    assert store.exists(SHA256)
    with sessions() as session:
        blob = session.get(Blob, SHA256)
        assert blob is not None
        assert blob.size_bytes == len(CONTENT)


def test_an_empty_damaged_or_too_large_small_file_is_refused(client: TestClient, app: FastAPI, settings: Settings) -> None:
    damaged = client.post("/v1/uploads/small", files={"file": ("net.npz", CONTENT[:-1])}, data={"sha256": SHA256})
    assert (damaged.status_code, damaged.json()["code"]) == (422, "sha256_mismatch")
    assert client.post("/v1/uploads/small", files={"file": ("net.npz", b"")}).status_code == 422
    app.state.settings.small_upload_max_bytes = 1000
    for size in (1001, 200_000):
        large = client.post("/v1/uploads/small", files={"file": ("net.npz", b"x" * size)})
        assert (large.status_code, large.json()["code"]) == (413, "too_large")
    assert stored_files(settings) == []


def test_a_repeated_small_upload_with_one_idempotency_key_is_replayed(client: TestClient) -> None:
    headers = {"Idempotency-Key": "small-1"}
    first, second = (client.post("/v1/uploads/small", files={"file": ("a.bin", b"abc")}, headers=headers) for _ in range(2))
    assert first.request.headers["Content-Type"] != second.request.headers["Content-Type"]  # each has a boundary of its own
    assert (first.status_code, second.status_code) == (201, 201)
    assert (second.json(), second.headers["Idempotency-Replayed"]) == (first.json(), "true")


@pytest.mark.parametrize(
    "changes", [{"files": {"file": ("a.bin", b"abd")}}, {"files": {"file": ("b.bin", b"abc")}}, {"data": {"sha256": SHA256}}]
)
def test_another_small_upload_under_the_same_idempotency_key_is_refused(client: TestClient, changes: dict[str, Any]) -> None:
    form: dict[str, Any] = {"files": {"file": ("a.bin", b"abc")}, "headers": {"Idempotency-Key": "small-1"}}
    assert client.post("/v1/uploads/small", **form).status_code == 201
    refused = client.post("/v1/uploads/small", **form | changes)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    "changes",
    [{"sha256": "ABC"}, {"sha256": SHA256.upper()}, {"size_bytes": 0}, {"size_bytes": -1}, {"filename": ""}, {"extra": 1}],
)
def test_an_invalid_declaration_is_refused(client: TestClient, changes: dict[str, Any]) -> None:
    refused = declare(client, **changes)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["param"] == next(iter(changes))


def test_an_upload_above_the_limit_is_refused(client: TestClient, app: FastAPI) -> None:
    app.state.settings.upload_max_bytes = 1000
    assert declare(client, size_bytes=1001).status_code == 413
