"""API keys: shown once, stored as a digest, revoked for good."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.api_keys.service import ensure_first_key
from app.auth import authenticate
from app.db.migrate import upgrade
from app.db.models import ApiKey, IdempotencyRecord
from app.db.session import SessionFactory, make_engine, make_session_factory
from app.settings import Settings


def test_a_new_key_opens_the_same_owners_door_until_it_is_revoked(client: TestClient, rows: object) -> None:
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


def test_the_last_key_stays(client: TestClient) -> None:
    only = client.get("/v1/api-keys").json()["data"][0]
    refused = client.delete(only["links"]["self"])
    assert (refused.status_code, refused.json()["code"]) == (409, "last_api_key")


def test_no_secret_is_stored_anywhere(client: TestClient, sessions: SessionFactory) -> None:
    answers = [client.post("/v1/api-keys", json={"name": "ci"}, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    secret = answers[0].json()["secret"]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[1].json() == answers[0].json() | {"secret": None}
    with sessions() as session:
        stored = [*session.scalars(select(ApiKey.digest)), *session.scalars(select(IdempotencyRecord.response_body))]
    assert not any(secret in (value or "") for value in stored)


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer iis_wrong", "Basic aWlz", "iis_wrong", "Bearer iis_\u00e9"]
)
def test_a_request_without_a_valid_key_is_refused(client: TestClient, authorization: str | None) -> None:
    client.headers.pop("Authorization")
    headers = {} if authorization is None else {"Authorization": authorization.encode()}
    refused = client.get("/v1/models", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")


def test_processes_that_start_together_make_one_first_key(postgres_server: object, settings: Settings) -> None:
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
