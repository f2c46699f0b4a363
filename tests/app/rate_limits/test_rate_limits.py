"""Rate limits: of a key, of an address that sends none, of keys that open nothing; in one Redis for all processes, and without one."""

from __future__ import annotations

import itertools
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from fastapi.testclient import TestClient

from app.main import create_app
from app.rate_limits import buckets
from app.settings import Settings

NEVER = 0.001  # a second: so slowly that no test sees a new token
PROBLEM = "application/problem+json"
HERE = {"Origin": "http://testserver"}
addresses = (f"192.0.2.{number}" for number in itertools.count(1))

Start = Callable[..., TestClient]


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """`start(rate_limit_burst=5)`: an API of its own with these settings, asked from an address that nobody else asks from."""
    started: list[TestClient] = []

    def starting(**changes: Any) -> TestClient:
        client = TestClient(create_app(settings.model_copy(update=changes)), client=(next(addresses), 50000))
        started.append(client.__enter__())
        return client

    yield starting
    for client in started:
        client.__exit__(None, None, None)


def told(answer: Any) -> tuple[str, int, int]:
    """Bucket, tokens left, seconds until it is full, of a RateLimit field."""
    found = re.fullmatch(r'"(\w+)";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
    assert found is not None
    return found[1], int(found[2]), int(found[3])


def test_a_key_that_asks_too_fast_is_told_how_fast_it_may(start: Start, tenant: Any) -> None:
    client = start(rate_limit_burst=3, rate_limit_per_second=0.1)
    assert told(client.get("/v1/models", headers=tenant.headers))[0] == "address", "nobody knows the key yet"
    allowed = [client.get("/v1/models", headers=tenant.headers) for _ in range(3)]
    assert [answer.status_code for answer in allowed] == [200] * 3
    assert allowed[0].headers["RateLimit-Policy"] == '"key";q=3;w=30'
    assert [told(answer) for answer in allowed] == [("key", 2, 10), ("key", 1, 20), ("key", 0, 30)]
    refused = client.get("/v1/models", headers=tenant.headers)
    assert (refused.status_code, refused.headers["content-type"], refused.json()["code"]) == (429, PROBLEM, "rate_limited")
    assert refused.headers["Retry-After"] == "10"
    assert "3 requests at once and 0.1 a second in the long run; wait 10 s" in refused.json()["detail"]
    assert refused.json()["request_id"] == refused.headers["X-Request-Id"]
    assert told(refused) == ("key", 0, 30)


def test_one_keys_requests_are_nothing_to_another(start: Start, tenant: Any, stranger: Any) -> None:
    client = start(rate_limit_burst=1, rate_limit_per_second=NEVER)
    assert [client.get("/v1/models", headers=tenant.headers).status_code for _ in range(3)] == [200, 200, 429]
    assert client.get("/v1/models", headers=stranger.headers).status_code == 200


def test_processes_share_a_limit_that_no_concurrence_gets_around(start: Start, tenant: Any) -> None:
    limits = {"rate_limit_burst": 10, "rate_limit_per_second": NEVER}
    clients = [start(**limits), start(**limits)]
    clients[0].get("/v1/models", headers=tenant.headers)
    with ThreadPoolExecutor(8) as pool:
        asked = [clients[number % 2] for number in range(30)]
        statuses = list(pool.map(lambda client: client.get("/v1/models", headers=tenant.headers).status_code, asked))
    assert sorted(statuses) == [200] * 10 + [429] * 20


def test_without_a_key_an_address_has_its_own_limit(start: Start, tenant: Any) -> None:
    client = start(anonymous_rate_limit_burst=2, anonymous_rate_limit_per_second=NEVER)
    client.get("/v1/models", headers=tenant.headers)
    assert [client.get("/sign-in").status_code for _ in range(2)] == [200, 429]
    refused = client.get("/v1/models")
    assert (refused.status_code, refused.json()["code"], told(refused)[0]) == (429, "rate_limited", "address")
    assert client.get("/v1/models", headers=tenant.headers).status_code == 200, "a key that is known has a limit of its own"
    assert TestClient(client.app, client=(next(addresses), 50000)).get("/sign-in").status_code == 200, "another address"


def test_who_guesses_keys_is_stopped_and_who_has_one_is_not(start: Start, tenant: Any, stranger: Any) -> None:
    client = start(failed_key_limit_burst=2, failed_key_limit_per_second=NEVER)
    assert client.get("/v1/models", headers=tenant.headers).status_code == 200
    guesses = [client.get("/v1/models", headers={"Authorization": f"Bearer iis_guess{secrets.token_hex(8)}"}) for _ in range(4)]
    assert [answer.status_code for answer in guesses] == [401, 401, 429, 429]
    assert "keys that open nothing came from your address" in guesses[2].json()["detail"]
    assert client.get("/v1/models", headers=stranger.headers).status_code == 429, "even a right guess"
    assert client.post("/sign-in", data={"key": "iis_guess"}, headers=HERE).status_code == 429, "nor by the form"
    assert client.get("/v1/models", headers=tenant.headers).status_code == 200
    assert client.get("/sign-in").status_code == 200


def test_one_wrong_key_counts_once_however_often_it_comes(start: Start, tenant: Any) -> None:
    """A robot whose key has ended must not lock out whoever shares its address."""
    client = start(failed_key_limit_burst=2, failed_key_limit_per_second=NEVER)
    robot = {"Authorization": f"Bearer iis_ended{secrets.token_hex(8)}"}
    assert {client.get("/v1/models", headers=robot).status_code for _ in range(4)} == {401}
    assert client.get("/v1/models", headers=tenant.headers).status_code == 200


def test_guesses_by_the_form_count_too(start: Start) -> None:
    client = start(failed_key_limit_burst=2, failed_key_limit_per_second=NEVER)
    assert [client.post("/sign-in", data={"key": "iis_guess"}, headers=HERE).status_code for _ in range(3)] == [401, 401, 429]


def test_a_key_that_was_revoked_is_known_no_more(start: Start, tenant: Any) -> None:
    client = start(failed_key_limit_burst=1, failed_key_limit_per_second=NEVER)
    made = client.post("/v1/api-keys", json={"name": "guest"}, headers=tenant.headers).json()
    guest = {"Authorization": f"Bearer {made['secret']}"}
    assert client.get("/v1/models", headers=guest).status_code == 200
    client.delete(made["links"]["self"], headers=tenant.headers)
    assert [client.get("/v1/models", headers=guest).status_code for _ in range(2)] == [401, 429]


def test_made_up_keys_leave_nothing_behind(start: Start, settings: Settings) -> None:
    client = start()
    with redis.Redis.from_url(settings.redis_url) as store:
        before = set(store.keys("iis:rate:key:*"))
        for path in ("/v1/models", "/v1/nowhere", "/sign-in"):
            client.get(path, headers={"Authorization": "Bearer iis_made_up"})
        assert set(store.keys("iis:rate:key:*")) == before


def test_the_pages_cookie_counts_as_its_key(start: Start, tenant: Any) -> None:
    client = start(rate_limit_burst=1, rate_limit_per_second=NEVER)
    client.post("/sign-in", data={"key": tenant.headers["Authorization"].removeprefix("Bearer ")}, headers=HERE)
    assert [client.get("/v1/models").status_code for _ in range(3)] == [200, 200, 429]


def test_a_stream_counts_once(start: Start, tenant: Any, rows: Any) -> None:
    job_id, _ = rows.succeeded_job()
    client = start(rate_limit_burst=10, rate_limit_per_second=NEVER)
    path, stream = f"/v1/jobs/{job_id}/events", {"Accept": "text/event-stream"}
    client.get(path, headers=tenant.headers)
    assert [told(client.get(path, headers=tenant.headers | stream))[1] for _ in range(2)] == [9, 8]


def test_health_and_metrics_have_no_limit(start: Start) -> None:
    client = start(anonymous_rate_limit_burst=1, anonymous_rate_limit_per_second=NEVER)
    for path in ("/v1/health/live", "/v1/health/ready", "/v1/metrics"):
        for _ in range(2):
            answer = client.get(path)
            assert (answer.status_code, "RateLimit" in answer.headers) == (200, False)


def test_a_rate_of_zero_is_no_limit(start: Start, tenant: Any) -> None:
    client = start(rate_limit_per_second=0, rate_limit_burst=1, anonymous_rate_limit_per_second=0, failed_key_limit_per_second=0)
    for headers, status in ((tenant.headers, 200), ({}, 401), ({"Authorization": "Bearer iis_guess"}, 401)):
        answers = [client.get("/v1/models", headers=headers) for _ in range(4)]
        assert [(answer.status_code, "RateLimit" in answer.headers) for answer in answers] == [(status, False)] * 4


def test_a_network_of_the_sixth_version_is_one_address(start: Start) -> None:
    api = start(anonymous_rate_limit_burst=1, anonymous_rate_limit_per_second=NEVER).app
    asking = ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1")
    assert [TestClient(api, client=(address, 50000)).get("/sign-in").status_code for address in asking] == [200, 429, 200]


def test_without_redis_everybody_passes(start: Start, tenant: Any) -> None:
    client = start(redis_url="redis://127.0.0.1:1/0", rate_limit_burst=1, rate_limit_per_second=NEVER)
    answers = [client.get("/v1/models", headers=tenant.headers) for _ in range(4)]
    assert [(answer.status_code, "RateLimit" in answer.headers) for answer in answers] == [(200, False)] * 4
    assert client.get("/v1/models", headers={"Authorization": "Bearer iis_guess"}).status_code == 401


def test_a_redis_that_hangs_is_asked_once_and_then_left_alone(start: Start, tenant: Any) -> None:
    called: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def accept() -> None:
            while True:
                try:
                    called.append(silent.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        client = start(redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        answers = [client.get("/v1/models", headers=tenant.headers) for _ in range(20)]
        silent.shutdown(socket.SHUT_RDWR)
    for connection in called:
        connection.close()
    assert {answer.status_code for answer in answers} == {200}
    assert 1 <= len(called) <= 2, "one attempt, and one more on a fresh connection at most"


def test_limits_are_back_soon_after_redis_is(start: Start, tenant: Any, redis_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "CIRCUIT_BREAKER_SECONDS", 0.0)
    client = start(rate_limit_burst=2, rate_limit_per_second=NEVER)
    for _ in range(2):
        client.get("/v1/models", headers=tenant.headers)
    redis_server.stop()
    try:
        answers = [client.get("/v1/models", headers=tenant.headers) for _ in range(3)]
        assert [(answer.status_code, "RateLimit" in answer.headers) for answer in answers] == [(200, False)] * 3
    finally:
        redis_server.start()
    assert "RateLimit" in client.get("/v1/models", headers=tenant.headers).headers
