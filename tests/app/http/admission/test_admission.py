"""Requests beyond capacity, keys that were made up, slow and many bodies."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import event, text

from app.db.ids import new_id
from app.db.models import ApiKey
from app.db.session import SessionFactory
from app.http.admission import bodies, slots, unknown_clients
from app.http.key_text import digest_of
from app.settings import MIB, Settings
from support.raw_http import Serve, answer, request
from support.rows import Rows
from support.tenants import Tenant

LARGE = 8 * MIB


def test_a_request_beyond_capacity_is_refused_before_authentication_and_before_its_body(
    serve: Serve, tenant: Tenant, other_tenant: Tenant
) -> None:
    connect = serve(client_requests_max=2)
    open_bodies = [connect() for _ in range(2)]
    for connection in open_bodies:
        connection.sendall(request("POST", "/v1/concept-sets", tenant.headers, b'{"phr', length=100))
    _until(lambda: _status(connect(), tenant.headers) == 503)
    refused = connect()
    refused.sendall(request("GET", "/v1/models", tenant.headers))
    status, headers, body = answer(refused)
    assert (status, headers["content-type"], json.loads(body)["code"]) == (503, "application/problem+json", "over_capacity")
    assert headers["retry-after"] == "2"
    assert json.loads(body)["request_id"] == headers["x-request-id"]
    with_body = connect()
    with_body.sendall(request("POST", "/v1/concept-sets", tenant.headers | {"Expect": "100-continue"}, length=LARGE))
    assert answer(with_body)[0] == 503, "without 100 Continue"
    assert _status(connect(), other_tenant.headers) == 200, "another owner is served"
    open_bodies[0].close()
    _until(lambda: _status(connect(), tenant.headers) == 200)


def test_few_requests_of_a_client_are_admitted_although_the_process_is_full(serve: Serve, tenant: Tenant, other_tenant: Tenant) -> None:
    connect = serve(requests_max=5, client_requests_max=64)
    held = [connect() for _ in range(5)]
    for connection in held:
        connection.sendall(request("POST", "/v1/concept-sets", tenant.headers, b'{"phr', length=100))
    _until(lambda: _status(connect(), tenant.headers) == 503)
    assert _status(connect(), other_tenant.headers) == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer iis_made-up.checksum000"}])
def test_a_body_is_not_read_before_its_sender_is_authenticated(serve: Serve, headers: dict[str, str]) -> None:
    connection = serve()()
    began = time.monotonic()
    connection.sendall(request("PUT", "/v1/uploads/upl_0/parts/1", headers | {"Expect": "100-continue"}, length=60 * MIB))
    assert answer(connection)[0] == 401, "instead of 100 Continue"
    assert time.monotonic() - began < 5


def test_a_body_of_an_authenticated_sender_is_asked_for(serve: Serve, tenant: Tenant) -> None:
    connection = serve()()
    body = json.dumps({"name": "a", "phrases": ["a stripe", "a loop"]}).encode()
    fields = tenant.headers | {"Expect": "100-continue", "Content-Type": "application/json"}
    connection.sendall(request("POST", "/v1/concept-sets", fields, length=len(body)))
    assert answer(connection)[0] == 100
    connection.sendall(body)
    assert answer(connection)[0] == 201


def test_a_connection_is_kept_after_a_refusal_whose_body_arrives(serve: Serve, tenant: Tenant) -> None:
    connection = serve()()
    connection.sendall(request("POST", "/v1/concept-sets", {}, b"x" * 1000))
    assert answer(connection)[0] == 401
    connection.sendall(request("GET", "/v1/models", tenant.headers))
    assert answer(connection)[0] == 200


def test_a_slow_body_is_408_and_holds_no_database_connection(
    serve: Serve, key_for: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "GRACE_SECONDS", 1.0)
    connect = serve(database_pool_size=2, database_pool_overflow=0, client_requests_max=64)
    headers = key_for("read")
    slow = [connect() for _ in range(45)]
    for number, connection in enumerate(slow):
        fields = headers | {"Idempotency-Key": str(number), "Content-Type": "application/json"}
        connection.sendall(request("POST", "/v1/studies/estimate", fields, b'{"models":', length=100))
    assert _status(connect(), headers) == 200, "connections are free meanwhile"
    answers = [answer(connection) for connection in slow]
    assert {status for status, _, _ in answers} == {408}
    assert json.loads(answers[0][2])["code"] == "request_timeout"


def test_slow_headers_are_408(serve: Serve) -> None:
    connection = serve(header_timeout_seconds=0.3)()
    connection.sendall(b"GET /v1/models HTTP/1.1\r\nHost: te")
    assert answer(connection)[0] == 408
    assert connection.recv(1) == b"", "and the connection is closed"


def test_the_bytes_of_bodies_in_flight_are_bounded_for_each_client(serve: Serve, tenant: Tenant, other_tenant: Tenant) -> None:
    connect = serve(client_body_bytes_max=20 * MIB, small_upload_max_bytes=16 * MIB)
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    expecting = form | {"Expect": "100-continue"}
    first, second, other = connect(), connect(), connect()
    first.sendall(request("POST", "/v1/uploads/small", tenant.headers | expecting, length=15 * MIB))
    assert answer(first)[0] == 100
    second.sendall(request("POST", "/v1/uploads/small", tenant.headers | expecting, length=15 * MIB))
    status, headers, body = answer(second)
    assert (status, headers["retry-after"], json.loads(body)["code"]) == (503, "5", "over_capacity")
    other.sendall(request("POST", "/v1/uploads/small", other_tenant.headers | expecting, length=15 * MIB))
    assert answer(other)[0] == 100, "another owner may send"


def test_a_key_that_was_made_up_costs_no_query(app: FastAPI, client: TestClient) -> None:
    queries = _counted_queries(app)
    for _ in range(3):
        made_up = {"Authorization": f"Bearer iis_{secrets.token_urlsafe(32)}.{secrets.token_urlsafe(8)}"}
        assert client.get("/v1/models", headers=made_up).status_code == 401
    assert queries == []


def test_a_refused_key_without_a_checksum_is_looked_up_once(app: FastAPI, client: TestClient) -> None:
    queries = _counted_queries(app)
    for _ in range(3):
        refused = client.get("/v1/models", headers={"Authorization": "Bearer iis_made-up-long-ago"})
        assert (refused.status_code, refused.json()["detail"]) == (401, "This API key is unknown or was revoked.")
    assert len(queries) == 1


def test_a_key_from_before_the_checksum_stays_valid(
    client: TestClient, sessions: SessionFactory, settings: Settings, tenant: Tenant
) -> None:
    secret = "iis_" + secrets.token_urlsafe(32)
    columns = {"owner_id": tenant.owner_id, "name": "old", "hint": secret[-4:], "scopes": ["read"]}
    with sessions.begin() as session:
        session.add(ApiKey(id=new_id("api_key"), digest=digest_of(secret, settings.api_key_secret), **columns))
    assert client.get("/v1/models", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


def test_a_new_key_has_a_checksum_which_a_change_of_any_character_breaks(app: FastAPI, client: TestClient) -> None:
    secret = client.post("/v1/api-keys", json={"name": "new"}).json()["secret"]
    assert client.get("/v1/models", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    queries = _counted_queries(app)
    changed = secret[:10] + ("A" if secret[10] != "A" else "B") + secret[11:]
    assert client.get("/v1/models", headers={"Authorization": f"Bearer {changed}"}).status_code == 401
    assert queries == []


def test_a_long_poll_beyond_the_bound_is_answered_at_once_and_a_stream_is_refused(serve: Serve, tenant: Tenant, rows: Rows) -> None:
    connect = serve(client_waiting_requests_max=1)
    job = rows.job()
    stream = {"Accept": "text/event-stream"}
    first = connect()
    first.sendall(request("GET", f"/v1/jobs/{job}/events", tenant.headers | stream))
    assert answer(first)[0] == 200
    assert _status(connect(), tenant.headers | stream, f"/v1/jobs/{job}/events") == 503
    began = time.monotonic()
    assert _status(connect(), tenant.headers | {"Prefer": "wait=20"}, f"/v1/jobs/{job}") == 200
    assert time.monotonic() - began < 10
    pending = rows.dataset("pending")
    assert _status(connect(), tenant.headers | {"Prefer": "wait=20"}, f"/v1/datasets/{pending}") == 200
    assert time.monotonic() - began < 15


def test_an_owner_with_many_keys_has_the_room_of_one_owner(
    serve: Serve, tenant: Tenant, other_tenant: Tenant, key_for: Callable[..., dict[str, str]], rows: Rows
) -> None:
    connect = serve(client_requests_max=2, client_waiting_requests_max=1, client_body_bytes_max=20 * MIB)
    events, stream = f"/v1/jobs/{rows.job()}/events", {"Accept": "text/event-stream"}
    first = connect()
    first.sendall(request("GET", events, tenant.headers | stream))
    assert answer(first)[0] == 200
    assert _status(connect(), key_for("read") | stream, events) == 503
    form = {"Content-Type": "multipart/form-data; boundary=b", "Expect": "100-continue"}
    sending, more = connect(), connect()
    sending.sendall(request("POST", "/v1/uploads/small", tenant.headers | form, length=15 * MIB))
    assert answer(sending)[0] == 100
    more.sendall(request("POST", "/v1/uploads/small", key_for("write") | form, length=15 * MIB))
    assert answer(more)[0] == 503
    held = connect()
    held.sendall(request("POST", "/v1/concept-sets", key_for("write"), b'{"phr', length=100))
    _until(lambda: _status(connect(), key_for("read")) == 503)
    assert _status(connect(), other_tenant.headers) == 200


def test_first_uses_of_keys_take_turns_while_a_known_key_is_served(
    serve: Serve, tenant: Tenant, key_for: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown_clients, "HOLD_SECONDS", 0.8)
    monkeypatch.setattr(unknown_clients, "ADDRESS_MAX", unknown_clients.AT_ONCE_OF_ADDRESS + 1)
    connect = serve()
    assert _status(connect(), tenant.headers) == 200, "known from now on"
    slow = [connect() for _ in range(unknown_clients.AT_ONCE_OF_ADDRESS)]
    for connection in slow:
        connection.sendall(request("POST", "/v1/concept-sets", key_for("write"), b'{"phr', length=100))
    time.sleep(0.1)
    began = time.monotonic()
    waiting = connect()
    waiting.sendall(request("GET", "/v1/models", key_for("read")))
    time.sleep(0.1)
    assert _status(connect(), key_for("read")) == 503, "beyond the bound of an address"
    assert _status(connect(), tenant.headers) == 200
    assert answer(waiting)[0] == 200, "its turn comes although those before it have not ended"
    assert 0.3 < time.monotonic() - began < 10


def test_a_first_use_whose_turn_does_not_come_is_a_503(
    serve: Serve, key_for: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "WAIT_SECONDS", 0.5)
    monkeypatch.setattr(unknown_clients, "HOLD_SECONDS", 30.0)
    connect = serve(client_requests_max=64)
    slow = [connect() for _ in range(unknown_clients.AT_ONCE_OF_ADDRESS)]
    for connection in slow:
        connection.sendall(request("POST", "/v1/concept-sets", key_for("write"), b'{"phr', length=100))
    time.sleep(0.2)
    late = connect()
    late.sendall(request("GET", "/v1/models", key_for("read")))
    status, headers, body = answer(late)
    assert (status, headers["retry-after"], json.loads(body)["code"]) == (503, "2", "over_capacity")
    slow[0].close()
    _until(lambda: _status(connect(), key_for("read")) == 200)


def test_every_connection_of_the_api_has_timeouts(app: FastAPI) -> None:
    with app.state.session_factory() as session:
        for name, value in (("statement_timeout", "30s"), ("lock_timeout", "10s"), ("idle_in_transaction_session_timeout", "1min")):
            assert session.scalar(text(f"SHOW {name}")) == value
        socket_options = session.connection().connection.dbapi_connection.info.get_parameters()
    assert socket_options["tcp_user_timeout"] == "30000"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/openapi.json", "/v1/health/ready", "/sign-in"])
def test_head_has_the_headers_of_get_and_no_body(client: TestClient, path: str) -> None:
    whole, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    for name in ("content-type", "content-length", "etag"):
        assert head.headers.get(name) == whole.headers.get(name)


def test_head_of_a_live_stream_ends(serve: Serve, tenant: Tenant, rows: Rows) -> None:
    connection = serve()()
    connection.sendall(request("HEAD", f"/v1/jobs/{rows.job()}/events", tenant.headers | {"Accept": "text/event-stream"}))
    status, headers, _ = answer(connection)
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    connection.sendall(request("GET", "/v1/models", tenant.headers))
    assert answer(connection)[0] == 200


def test_half_of_a_surrogate_pair_is_a_422(client: TestClient, rows: Rows) -> None:
    body = '{"architecture": "timm:resnet18", "pretrained": "a", "arguments": {"name": "\\ud800"}}'
    refused = client.post("/v1/models", content=body, headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    keyed = client.post("/v1/models", content=body, headers={"Content-Type": "application/json", "Idempotency-Key": "k"})
    assert keyed.status_code == 422
    assert client.get("/v1/models?after=%ED%A0%80").status_code == 422


def _status(connection: Any, headers: dict[str, str], path: str = "/v1/models") -> int:
    with connection:
        connection.sendall(request("GET", path, headers))
        return answer(connection)[0]


def _until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "The condition did not become true in 30 s."
        time.sleep(0.05)


def _counted_queries(app: FastAPI) -> list[str]:
    queries: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        queries.append(statement)

    event.listen(app.state.engine, "before_cursor_execute", note)
    return queries
