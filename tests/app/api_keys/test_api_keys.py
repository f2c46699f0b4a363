"""API keys: shown once, stored as a digest, limited by scopes and expiry, rotated, revoked."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.api_keys import service
from app.api_keys.__main__ import main as make_key_by_hand
from app.api_keys.service import ensure_first_key
from app.db.migrate import upgrade
from app.db.models import ApiKey, IdempotencyRecord, RetiredSecret
from app.db.session import SessionFactory, make_engine, make_session_factory
from app.http.auth import authenticate
from app.settings import Settings
from support.tenants import Tenant


def test_a_new_key_authenticates_its_owner_until_it_is_revoked(client: TestClient, rows: object) -> None:
    created = client.post("/v1/api-keys", json={"name": "laptop"})
    assert created.status_code == 201
    body = created.json()
    assert body["secret"].startswith("iis_")
    assert body["hint"] == body["secret"][-4:]
    headers = {"Authorization": f"Bearer {body['secret']}"}
    assert client.get("/v1/api-keys", headers=headers).json()["data"][0]["name"] == "laptop"
    assert "secret" not in client.get(body["links"]["self"]).json()
    assert client.delete(body["links"]["self"]).status_code == 204
    assert client.delete(body["links"]["self"]).status_code == 204
    refused = client.get("/v1/models", headers=headers)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert client.get(body["links"]["self"]).json()["revoked_at"] is not None


def bearer(answer: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['secret']}"}


def test_the_last_admin_key_without_expiry_cannot_be_revoked(client: TestClient, key_for: Callable[..., dict[str, str]]) -> None:
    only = client.get("/v1/api-keys").json()["data"][0]
    key_for("read", "write")
    key_for("admin", expires_at=datetime.now(UTC) + timedelta(days=1))
    refused = client.delete(only["links"]["self"])
    assert (refused.status_code, refused.json()["code"]) == (409, "last_api_key")
    another = client.post("/v1/api-keys", json={"name": "another"})
    assert client.delete(only["links"]["self"]).status_code == 204
    refused = client.delete(another.json()["links"]["self"], headers=bearer(another))
    assert (refused.status_code, refused.json()["code"]) == (409, "last_api_key")


def test_concurrent_revocations_of_two_keys_leave_one(client: TestClient) -> None:
    first = client.get("/v1/api-keys").json()["data"][0]["links"]["self"]
    second = client.post("/v1/api-keys", json={"name": "second"}).json()["links"]["self"]
    with ThreadPoolExecutor(2) as pool:
        statuses = [answer.status_code for answer in pool.map(client.delete, (first, second))]
    assert sorted(statuses) in ([204, 401], [204, 409])


def test_the_number_of_keys_is_bounded_revoked_ones_included(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_KEYS", 4)
    first = client.post("/v1/api-keys", json={"name": "1"}).json()
    client.delete(first["links"]["self"])
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(client.post, "/v1/api-keys", json={"name": name}) for name in "2345"]
        answers = [answer.result() for answer in sent]
    assert sorted(answer.status_code for answer in answers) == [201, 201, 429, 429]
    refused = client.post("/v1/api-keys", json={"name": "6"}).json()
    assert refused["code"] == "quota_exceeded"
    assert "You have 4 API keys, revoked and expired ones included" in refused["detail"]


def test_a_new_key_has_at_most_the_scopes_of_its_creator(client: TestClient, key_for: Callable[..., dict[str, str]]) -> None:
    assert client.post("/v1/api-keys", json={"name": "all"}).json()["scopes"] == ["read", "write", "admin"]
    narrow = client.post("/v1/api-keys", json={"name": "ci", "scopes": ["admin", "read", "read"]})
    assert narrow.json()["scopes"] == ["read", "admin"]
    assert client.post("/v1/api-keys", json={"name": "same"}, headers=bearer(narrow)).json()["scopes"] == ["read", "admin"]
    refused = client.post("/v1/api-keys", json={"name": "more", "scopes": ["read", "write"]}, headers=bearer(narrow))
    assert (refused.status_code, refused.json()["code"], refused.json()["errors"][0]["param"]) == (403, "scope_missing", "scopes")
    assert "lacks write" in refused.json()["detail"]
    full = client.get("/v1/api-keys").json()["data"][-1]
    assert client.post(full["links"]["rotate"], headers=bearer(narrow)).status_code == 403
    for scopes in ([], ["root"]):
        assert client.post("/v1/api-keys", json={"name": "none", "scopes": scopes}).status_code == 422


def test_an_idempotent_response_is_not_replayed_to_a_key_without_the_scope(
    client: TestClient, key_for: Callable[..., dict[str, str]]
) -> None:
    body, once = {"filename": "a", "size_bytes": 1, "sha256": "0" * 64}, {"Idempotency-Key": "one"}
    assert client.post("/v1/uploads", json=body, headers=key_for("write") | once).status_code == 201
    assert client.post("/v1/uploads", json=body, headers=key_for("read") | once).status_code == 403


def test_an_expired_key_is_refused(client: TestClient, sessions: SessionFactory) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    made = client.post("/v1/api-keys", json={"name": "guest", "expires_at": soon.isoformat()})
    assert datetime.fromisoformat(made.json()["expires_at"]) == soon
    assert client.get("/v1/models", headers=bearer(made)).status_code == 200
    with sessions.begin() as session:
        ended = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
        session.execute(update(ApiKey).where(ApiKey.id == made.json()["id"]).values(expires_at=ended))
    refused = client.get("/v1/models", headers=bearer(made))
    assert (refused.status_code, refused.json()["code"]) == (401, "api_key_expired")
    assert "expired on 2026-01-12 at 09:30 UTC" in refused.json()["detail"]
    rotated = client.post(made.json()["links"]["rotate"])
    assert (rotated.status_code, rotated.json()["code"]) == (409, "api_key_expired")


@pytest.mark.parametrize("moment", ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00", "tomorrow"])
def test_an_expiry_in_the_past_or_without_a_time_zone_is_refused(client: TestClient, moment: str) -> None:
    refused = client.post("/v1/api-keys", json={"name": "guest", "expires_at": moment})
    assert (refused.status_code, refused.json()["errors"][0]["param"]) == (422, "expires_at")


def test_a_rotated_key_has_two_secrets_during_the_grace_period(client: TestClient, sessions: SessionFactory) -> None:
    made = client.post("/v1/api-keys", json={"name": "ci", "scopes": ["read"]})
    rotated = client.post(made.json()["links"]["rotate"], json={"grace_seconds": 3600})
    assert rotated.status_code == 200
    assert {name: rotated.json()[name] for name in ("id", "name", "scopes")} == {
        name: made.json()[name] for name in ("id", "name", "scopes")
    }
    assert rotated.json()["hint"] == rotated.json()["secret"][-4:] != made.json()["hint"]
    assert [one["hint"] for one in rotated.json()["retired_secrets"]] == [made.json()["hint"]]
    assert [client.get("/v1/models", headers=bearer(one)).status_code for one in (made, rotated)] == [200, 200]
    with sessions.begin() as session:
        session.execute(update(RetiredSecret).values(expires_at=datetime(2026, 1, 12, 9, 30, tzinfo=UTC)))
    refused = client.get("/v1/models", headers=bearer(made))
    assert (refused.status_code, refused.json()["code"]) == (401, "api_key_expired")
    assert "replaced and expired on 2026-01-12 at 09:30 UTC" in refused.json()["detail"]
    assert client.get("/v1/models", headers=bearer(rotated)).status_code == 200
    assert client.get(made.json()["links"]["self"]).json()["retired_secrets"] == []


def test_rotating_again_after_a_lost_response_keeps_the_deployed_secret_valid(client: TestClient) -> None:
    """A client that lost the new secret rotates again; the deployed secret keeps its grace period."""
    made = client.post("/v1/api-keys", json={"name": "ci"})
    lost = client.post(made.json()["links"]["rotate"], headers={"Idempotency-Key": "lost"})
    replayed = client.post(made.json()["links"]["rotate"], headers={"Idempotency-Key": "lost"})
    assert replayed.json() == lost.json() | {"secret": None}
    assert client.post(made.json()["links"]["rotate"]).status_code == 200
    assert client.get("/v1/models", headers=bearer(made)).status_code == 200


def test_rotation_without_grace_invalidates_every_old_secret(client: TestClient) -> None:
    made = client.post("/v1/api-keys", json={"name": "leaked"})
    second = client.post(made.json()["links"]["rotate"])
    third = client.post(made.json()["links"]["rotate"], json={"grace_seconds": 0})
    assert [client.get("/v1/models", headers=bearer(one)).status_code for one in (made, second, third)] == [401, 401, 200]
    client.delete(made.json()["links"]["self"])
    refused = client.post(made.json()["links"]["rotate"])
    assert (refused.status_code, refused.json()["code"]) == (409, "api_key_revoked")


def test_revoking_a_key_invalidates_its_old_secret(client: TestClient) -> None:
    made = client.post("/v1/api-keys", json={"name": "ci"})
    client.post(made.json()["links"]["rotate"])
    client.delete(made.json()["links"]["self"])
    assert client.get("/v1/models", headers=bearer(made)).status_code == 401


def test_last_use_is_recorded_at_most_once_a_minute(client: TestClient, sessions: SessionFactory) -> None:
    made = client.post("/v1/api-keys", json={"name": "ci"})
    assert made.json()["last_used_at"] is None
    client.get("/v1/models", headers=bearer(made))
    first = client.get(made.json()["links"]["self"]).json()["last_used_at"]
    client.get("/v1/models", headers=bearer(made))
    assert client.get(made.json()["links"]["self"]).json()["last_used_at"] == first
    with sessions.begin() as session:
        long_ago = datetime.now(UTC) - timedelta(minutes=2)
        session.execute(update(ApiKey).where(ApiKey.id == made.json()["id"]).values(last_used_at=long_ago))
    client.get("/v1/models", headers=bearer(made))
    assert client.get(made.json()["links"]["self"]).json()["last_used_at"] > first


def test_a_request_does_not_wait_for_a_lock_on_its_key(client: TestClient, sessions: SessionFactory) -> None:
    with sessions.begin() as session:
        session.scalars(select(ApiKey).with_for_update()).all()
        session.connection().exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '10s'")
        assert client.get("/v1/models").status_code == 200


def test_an_operator_adds_a_key_to_an_existing_owner(client: TestClient, tenant: Tenant, capsys: pytest.CaptureFixture[str]) -> None:
    assert make_key_by_hand([tenant.owner_id]) == 0
    headers = {"Authorization": f"Bearer {capsys.readouterr().out.strip()}"}
    assert client.get("/v1/api-keys", headers=headers).json()["data"][0]["name"] == "operator's key"
    with pytest.raises(SystemExit):
        make_key_by_hand(["own_nobody"])
    assert "there is no owner own_nobody" in capsys.readouterr().err


def test_no_secret_is_stored_anywhere(client: TestClient, sessions: SessionFactory) -> None:
    answers = [client.post("/v1/api-keys", json={"name": "ci"}, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    secret = answers[0].json()["secret"]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[1].json() == answers[0].json() | {"secret": None}
    with sessions() as session:
        stored = [
            *session.scalars(select(ApiKey.digest)),
            *session.scalars(select(RetiredSecret.digest)),
            *session.scalars(select(IdempotencyRecord.response_body)),
        ]
    assert not any(secret in (value or "") for value in stored)


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer iis_wrong", "Basic aWlz", "iis_wrong", "Bearer iis_\u00e9"]
)
def test_a_request_without_a_valid_key_is_refused(client: TestClient, authorization: str | None) -> None:
    client.headers.pop("Authorization")
    headers = [] if authorization is None else [(b"Authorization", authorization.encode())]
    refused = client.get("/v1/models", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")


def test_concurrent_processes_create_one_first_key(postgres_server: object, settings: Settings) -> None:
    with psycopg.connect(settings.database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS first_key")
        connection.execute("CREATE DATABASE first_key")
    fresh = settings.model_copy(update={"database_url": settings.database_url.replace("/iis?", "/first_key?")})
    upgrade(fresh.database_url)
    engine = make_engine(fresh)
    factory = make_session_factory(engine)

    def start(_: int) -> str | None:
        session: Session
        with factory() as session:
            return ensure_first_key(session, fresh)

    with ThreadPoolExecutor(4) as pool:
        secrets = [secret for secret in pool.map(start, range(4)) if secret]
    assert len(secrets) == 1
    with factory() as session:
        assert authenticate(session, f"Bearer {secrets[0]}", fresh.api_key_secret).owner_id
    engine.dispose()
