"""Health and metrics while PostgreSQL, Redis or storage is unavailable."""

from __future__ import annotations

from fastapi.testclient import TestClient

from app.api_keys.service import ensure_first_key
from app.db.session import SessionFactory
from app.main import create_app
from app.settings import Settings
from support.rows import Rows
from support.servers import ServerProcess, WaitUntil

KEY = {"Authorization": "Bearer iis_unknown"}


def test_health_is_ok_when_every_dependency_is_available(client: TestClient) -> None:
    assert client.get("/v1/health/live").json()["status"] == "ok"
    ready = client.get("/v1/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")


def test_the_api_starts_without_a_database_and_is_unhealthy(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"database_url": "postgresql://iis@127.0.0.1:1/iis"})
    with TestClient(create_app(nowhere)) as client:
        assert client.get("/v1/health/live").status_code == 200
        ready = client.get("/v1/health/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
        assert "database" in ready.json()["detail"]
        refused = client.get("/v1/models", headers=KEY)
        assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        assert int(refused.headers["Retry-After"]) > 0
        assert "127.0.0.1" not in refused.text
        assert "iis_jobs{" not in client.get("/v1/metrics").text


def test_the_api_recovers_after_a_restart_of_postgresql(client: TestClient, postgres_server: ServerProcess) -> None:
    assert client.get("/v1/models").status_code == 200
    postgres_server.stop()
    try:
        refused = client.get("/v1/models")
        assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        keyed = client.post("/v1/datasets", json={"hub": {"name": "a/b", "revision": "c"}}, headers={"Idempotency-Key": "k"})
        assert keyed.status_code == 503
        assert client.get("/v1/health/live").status_code == 200
    finally:
        postgres_server.start()
    assert client.get("/v1/models").status_code == 200


def test_without_redis_jobs_are_accepted_and_health_is_degraded(
    client: TestClient, redis_server: ServerProcess, wait_until: WaitUntil
) -> None:
    redis_server.stop()
    try:
        ready = client.get("/v1/health/ready")
        assert (ready.status_code, ready.json()["status"], ready.json()["redis"]) == (200, "degraded", "unavailable")
        assert client.post("/v1/datasets", json={"hub": {"name": "a/b", "revision": "c"}}).status_code == 201
    finally:
        redis_server.start()
    wait_until(lambda: client.get("/v1/health/ready").json()["status"] == "ok", 5, "readiness, which is a second old at most")


def test_metrics_count_requests_by_route_and_jobs_by_state(client: TestClient, rows: Rows) -> None:
    rows.job()
    for _ in range(2):
        client.get(f"/v1/models/{rows.model()}")
    client.get("/nowhere")
    text = client.get("/v1/metrics").text
    assert 'iis_http_requests_total{method="GET",route="/v1/models/{model_id}",status="200"} 2.0' in text
    assert 'iis_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    queued = next(line for line in text.splitlines() if line.startswith('iis_jobs{kind="score",state="queued"}'))
    assert float(queued.split()[-1]) >= 1


def test_no_first_key_is_created_in_a_database_with_keys(client: TestClient, sessions: SessionFactory, settings: Settings) -> None:
    with sessions() as session:
        assert ensure_first_key(session, settings) is None
