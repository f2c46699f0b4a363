"""Logs and responses contain no secrets, also after errors. `make torture` checks worker and pages as well."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from app.db.session import SessionFactory
from app.logging import configure_logging
from app.main import create_app
from app.models.repository import ModelRepository
from app.settings import Settings
from support.rows import Rows
from support.tenants import Tenant

IMAGE = b"the bytes of an image that must stay hidden"
PASSWORD = "a-password-must-stay-hidden"
HIDDEN = ("must-stay-hidden", "must stay hidden", base64.b64encode(IMAGE).decode().rstrip("="), IMAGE.hex())


@pytest.fixture(autouse=True)
def logged(settings: Settings, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Log at debug level; call the fixture for the output so far."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    settings.log_level = "debug"
    yield lambda: capfd.readouterr().err
    root.handlers = handlers
    root.setLevel(level)


@pytest.fixture
def refusing_storage() -> Iterator[str]:
    """URL of an S3 server that reads requests and denies them all."""

    class Refusing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # supports `Expect: 100-continue` of S3 clients

        def refuse(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_PUT = do_POST = refuse  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name in the base class)
            """Suppress the log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def require_hidden(output: str, *more: str) -> None:
    for hidden in (*HIDDEN, *more):
        assert hidden not in output, output[max(0, output.index(hidden) - 300) :][:600]


def test_secrets_that_are_shown_once_are_not_logged(client: TestClient, tenant: Tenant, logged: Callable[[], str]) -> None:
    configure_logging("debug")
    key = client.post("/v1/api-keys", json={"name": "another"}, headers={"Idempotency-Key": "k"}).json()["secret"]
    hook = client.post("/v1/webhooks", json={"url": "https://example.org/"}, headers={"Idempotency-Key": "w"}).json()
    rotated = client.post(hook["links"]["rotate-secret"]).json()["secret"]
    assert client.post("/v1/uploads/small", files={"file": ("a.png", IMAGE)}).status_code == 201
    assert client.post("/sign-in", data={"key": key}, headers={"Origin": "http://testserver"}).status_code == 200
    answers = [client.get(f"/v1/{listed}").text for listed in ("api-keys", "webhooks", "uploads", "metrics")]
    answers += [
        client.post("/v1/api-keys", json={"name": "another"}, headers={"Idempotency-Key": "k"}).text,
        client.post("/v1/webhooks", json={"url": "https://example.org/"}, headers={"Idempotency-Key": "w"}).text,
        client.get("/v1/models", headers={"Authorization": f"Bearer {key}x"}).text,
    ]
    own = tenant.headers["Authorization"].removeprefix("Bearer ")
    lines = logged()
    assert '"event": "request"' in lines
    require_hidden(lines + "".join(answers), key, hook["secret"], rotated, own)


def test_a_database_outage_reveals_no_password(settings: Settings, logged: Callable[[], str]) -> None:
    settings.database_url = f"postgresql://iis:{PASSWORD}@127.0.0.1:1/iis"
    settings.redis_url = f"redis://:{PASSWORD}@127.0.0.1:1/0"
    settings.api_key_secret = PASSWORD
    app = create_app(settings)
    with TestClient(app, headers={"Authorization": "Bearer iis_nobody-may-see"}, raise_server_exceptions=False) as client:
        answers = [client.get(f"/v1/{path}") for path in ("models", "health/ready", "metrics")]
        answers.append(client.post("/v1/uploads/small", files={"file": ("a.png", IMAGE)}, headers={"Idempotency-Key": "k"}))
    assert [answer.status_code for answer in answers] == [503, 503, 200, 503]
    lines = logged()
    assert "database_unavailable" in lines
    require_hidden(lines + "".join(answer.text for answer in answers))


def test_a_redis_outage_reveals_no_password(client: TestClient, settings: Settings, rows: Rows, logged: Callable[[], str]) -> None:
    configure_logging("debug")
    settings.redis_url = f"redis://:{PASSWORD}@127.0.0.1:1/0"
    job_id = rows.explainable_job()
    refused = client.post(f"/v1/jobs/{job_id}/explanations", files={"file": ("a.png", IMAGE)})
    assert (refused.status_code, refused.json()["code"]) == (503, "broker_unavailable")
    accepted = client.post("/v1/jobs", json=rows.request())
    assert accepted.status_code == 201
    require_hidden(logged() + refused.text + accepted.text)


def test_storage_that_denies_access_reveals_neither_keys_nor_content(
    settings: Settings, tenant: Tenant, refusing_storage: str, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PASSWORD)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token-must-stay-hidden")
    settings.storage_url, settings.s3_endpoint_url = "s3://bucket/prefix", refusing_storage
    with TestClient(create_app(settings), headers=tenant.headers, raise_server_exceptions=False) as client:
        refused = client.post("/v1/uploads/small", files={"file": ("a.png", IMAGE)})
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
    lines = logged()
    assert "storage_unavailable" in lines
    require_hidden(lines + refused.text)


def test_a_row_refused_by_the_database_is_not_logged(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
) -> None:
    def refused(repository: ModelRepository, *_: Any) -> None:
        repository.session.execute(text("INSERT INTO owners (id, name) VALUES (NULL, :name)"), {"name": PASSWORD})

    monkeypatch.setattr(ModelRepository, "listed", refused)
    configure_logging("debug")
    answer = client.get("/v1/models")
    assert answer.status_code == 500
    lines = logged()
    assert "null value in column" in lines
    assert "request_failed" in lines
    require_hidden(lines + answer.text)


def test_the_detail_of_a_database_error_is_removed(sessions: SessionFactory) -> None:
    twice = text("INSERT INTO owners (id, name) VALUES ('must-stay-hidden', 'a'), ('must-stay-hidden', 'b')")
    with sessions() as session, pytest.raises(Exception, match="duplicate key value") as caught:
        session.execute(twice, execution_options={"compiled_cache": None})
    assert "already exists" not in f"{caught.value}"
