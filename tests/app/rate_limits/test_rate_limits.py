"""Rate limits of owners, addresses and failed authentication, shared through Redis, and without Redis."""

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
from support.rows import Rows
from support.servers import ServerProcess
from support.tenants import Tenant

NO_REFILL = 0.001  # tokens per second; no test runs long enough for a new one
PROBLEM = "application/problem+json"
SAME_ORIGIN = {"Origin": "http://testserver"}
addresses = (f"192.0.2.{number}" for number in itertools.count(1))

Start = Callable[..., TestClient]


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """`start(rate_limit_burst=5)`: client of a separate API with these settings, from an address that no other test uses."""
    started: list[TestClient] = []

    def starting(**changes: Any) -> TestClient:
        client = TestClient(create_app(settings.model_copy(update=changes)), client=(next(addresses), 50000))
        started.append(client.__enter__())
        return client

    yield starting
    for client in started:
        client.__exit__(None, None, None)


def rate_limit_of(answer: Any) -> tuple[str, int, int]:
    """Bucket, tokens left and seconds until it is full, from the RateLimit header."""
    found = re.fullmatch(r'"(\w+)";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
    assert found is not None
    return found[1], int(found[2]), int(found[3])


def test_an_owner_over_the_limit_gets_a_429_that_states_the_limit(start: Start, tenant: Tenant) -> None:
    client = start(rate_limit_burst=3, rate_limit_per_second=0.1)
    assert rate_limit_of(client.get("/v1/models", headers=tenant.headers))[0] == "address", "the key is not known yet"
    allowed = [client.get("/v1/models", headers=tenant.headers) for _ in range(3)]
    assert [answer.status_code for answer in allowed] == [200] * 3
    assert allowed[0].headers["RateLimit-Policy"] == '"owner";q=3;w=30'
    assert [rate_limit_of(answer) for answer in allowed] == [("owner", 2, 10), ("owner", 1, 20), ("owner", 0, 30)]
    refused = client.get("/v1/models", headers=tenant.headers)
    assert (refused.status_code, refused.headers["content-type"], refused.json()["code"]) == (429, PROBLEM, "rate_limited")
    assert refused.headers["Retry-After"] == "10"
    assert "the limit is 0.1 requests per second with bursts of 3. Retry in 10 s" in refused.json()["detail"]
    assert refused.json()["request_id"] == refused.headers["X-Request-Id"]
    assert rate_limit_of(refused) == ("owner", 0, 30)


def test_owners_have_separate_limits(start: Start, tenant: Tenant, other_tenant: Tenant) -> None:
    client = start(rate_limit_burst=1, rate_limit_per_second=NO_REFILL)
    assert [client.get("/v1/models", headers=tenant.headers).status_code for _ in range(3)] == [200, 200, 429]
    assert client.get("/v1/models", headers=other_tenant.headers).status_code == 200


def test_keys_of_one_owner_share_a_limit(start: Start, tenant: Tenant, other_tenant: Tenant) -> None:
    client = start(rate_limit_burst=4, rate_limit_per_second=0.1)
    first, second = (
        {"Authorization": f"Bearer {client.post('/v1/api-keys', json={'name': name}, headers=tenant.headers).json()['secret']}"}
        for name in ("first", "second")
    )  # the first POST makes the owner known, the second is the first of the burst
    for headers in (first, second, other_tenant.headers):
        assert rate_limit_of(client.get("/v1/models", headers=headers))[0] == "address", "not known yet"
    answers = [client.get("/v1/models", headers=headers) for headers in (first, second, first, second)]
    assert [rate_limit_of(answer)[:2] for answer in answers] == [("owner", 2), ("owner", 1), ("owner", 0), ("owner", 0)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert (answers[3].headers["Retry-After"], "with your API keys together" in answers[3].json()["detail"]) == ("10", True)
    assert client.get("/v1/models", headers=tenant.headers).status_code == 429, "and the key that made both"
    assert rate_limit_of(client.get("/v1/models", headers=other_tenant.headers))[:2] == ("owner", 3)


def test_a_rotated_key_gives_no_second_burst(start: Start, tenant: Tenant) -> None:
    client = start(rate_limit_burst=3, rate_limit_per_second=NO_REFILL)
    made = client.post("/v1/api-keys", json={"name": "rotated"}, headers=tenant.headers).json()
    rotated = client.post(f"{made['links']['self']}/rotate", json={"grace_seconds": 600}, headers=tenant.headers).json()
    old, new = ({"Authorization": f"Bearer {one['secret']}"} for one in (made, rotated))
    assert [client.get("/v1/models", headers=headers).status_code for headers in (old, new)] == [200, 200], "not known yet"
    assert [client.get("/v1/models", headers=headers).status_code for headers in (old, new, old, new)] == [200, 200, 429, 429]


def test_processes_share_a_limit_under_concurrent_requests(start: Start, tenant: Tenant) -> None:
    limits = {"rate_limit_burst": 10, "rate_limit_per_second": NO_REFILL}
    clients = [start(**limits), start(**limits)]
    clients[0].get("/v1/models", headers=tenant.headers)
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(clients[number % 2].get, "/v1/models", headers=tenant.headers) for number in range(30)]
        statuses = [request.result().status_code for request in sent]
    assert sorted(statuses) == [200] * 10 + [429] * 20


def test_requests_without_a_key_are_limited_by_address(start: Start, tenant: Tenant) -> None:
    client = start(anonymous_rate_limit_burst=2, anonymous_rate_limit_per_second=NO_REFILL)
    client.get("/v1/models", headers=tenant.headers)
    assert [client.get("/sign-in").status_code for _ in range(2)] == [200, 429]
    refused = client.get("/v1/models")
    assert (refused.status_code, refused.json()["code"], rate_limit_of(refused)[0]) == (429, "rate_limited", "address")
    assert client.get("/v1/models", headers=tenant.headers).status_code == 200, "a known key counts for its owner"
    assert TestClient(client.app, client=(next(addresses), 50000)).get("/sign-in").status_code == 200, "another address"


def test_key_guessing_is_limited_by_address_while_known_keys_pass(start: Start, tenant: Tenant, other_tenant: Tenant) -> None:
    client = start(failed_key_limit_burst=2, failed_key_limit_per_second=NO_REFILL)
    assert client.get("/v1/models", headers=tenant.headers).status_code == 200
    guesses = [client.get("/v1/models", headers={"Authorization": f"Bearer iis_guess{secrets.token_hex(8)}"}) for _ in range(4)]
    assert [answer.status_code for answer in guesses] == [401, 401, 429, 429]
    assert "Too many invalid API keys from your address" in guesses[2].json()["detail"]
    assert client.get("/v1/models", headers=other_tenant.headers).status_code == 429, "valid keys that are not known yet"
    assert client.post("/sign-in", data={"key": "iis_guess"}, headers=SAME_ORIGIN).status_code == 429, "and the sign-in form"
    assert client.get("/v1/models", headers=tenant.headers).status_code == 200
    assert client.get("/sign-in").status_code == 200


def test_guessing_tokens_of_share_links_is_limited_by_address(start: Start) -> None:
    client = start(failed_key_limit_burst=2, failed_key_limit_per_second=NO_REFILL)
    guesses = [client.get("/v1/shares/shr_1", headers={"Authorization": f"Bearer iisshare_{secrets.token_hex(8)}"}) for _ in range(3)]
    assert [answer.status_code for answer in guesses] == [401, 401, 429]


def test_repeated_failures_of_one_token_count_once_and_known_tokens_pass(start: Start, tenant: Tenant, rows: Rows) -> None:
    client = start(failed_key_limit_burst=1, failed_key_limit_per_second=NO_REFILL)
    job_id, _ = rows.succeeded_job()
    made = client.post("/v1/shares", json={"job": job_id}, headers=tenant.headers).json()
    visitor = {"Authorization": f"Bearer {made['token']}"}
    old, older = ({"Authorization": f"Bearer iisshare_{secrets.token_hex(8)}"} for _ in range(2))
    seen = client.get(made["links"]["self"], headers=visitor)
    assert (seen.status_code, rate_limit_of(seen)[0]) == (200, "address")
    assert [client.get("/v1/shares/shr_1", headers=old).status_code for _ in range(2)] == [401, 429], "the burst is spent"
    assert client.get("/v1/shares/shr_1", headers=older).status_code == 429
    assert client.get(made["links"]["self"], headers=visitor).status_code == 200
    more = start(failed_key_limit_burst=2, failed_key_limit_per_second=NO_REFILL)
    assert {more.get("/v1/shares/shr_1", headers=old).status_code for _ in range(3)} == {401}
    client.delete(made["links"]["self"], headers=tenant.headers)
    assert [client.get(made["links"]["self"], headers=visitor).status_code for _ in range(2)] == [401, 429], "a revoked token is not known"


def test_repeated_failures_of_one_key_count_once(start: Start, tenant: Tenant) -> None:
    """A client whose key has expired must not block other clients at its address."""
    client = start(failed_key_limit_burst=2, failed_key_limit_per_second=NO_REFILL)
    client_with_expired_key = {"Authorization": f"Bearer iis_ended{secrets.token_hex(8)}"}
    assert {client.get("/v1/models", headers=client_with_expired_key).status_code for _ in range(4)} == {401}
    assert client.get("/v1/models", headers=tenant.headers).status_code == 200


def test_failures_of_the_sign_in_form_count(start: Start) -> None:
    client = start(failed_key_limit_burst=2, failed_key_limit_per_second=NO_REFILL)
    assert [client.post("/sign-in", data={"key": "iis_guess"}, headers=SAME_ORIGIN).status_code for _ in range(3)] == [401, 401, 429]


def test_a_revoked_key_is_no_longer_known(start: Start, tenant: Tenant) -> None:
    client = start(failed_key_limit_burst=1, failed_key_limit_per_second=NO_REFILL)
    made = client.post("/v1/api-keys", json={"name": "guest"}, headers=tenant.headers).json()
    guest = {"Authorization": f"Bearer {made['secret']}"}
    assert client.get("/v1/models", headers=guest).status_code == 200
    client.delete(made["links"]["self"], headers=tenant.headers)
    assert [client.get("/v1/models", headers=guest).status_code for _ in range(2)] == [401, 429]


def test_invented_keys_create_no_buckets(start: Start, settings: Settings) -> None:
    client = start()
    with redis.Redis.from_url(settings.redis_url) as store:
        before = set(store.keys("iis:rate:owner*"))
        for path in ("/v1/models", "/v1/nowhere", "/sign-in"):
            client.get(path, headers={"Authorization": "Bearer iis_made_up"})
        assert not set(store.keys("iis:rate:owner*")) - before


def test_the_page_cookie_counts_as_its_key(start: Start, tenant: Tenant) -> None:
    client = start(rate_limit_burst=1, rate_limit_per_second=NO_REFILL)
    client.post("/sign-in", data={"key": tenant.headers["Authorization"].removeprefix("Bearer ")}, headers=SAME_ORIGIN)
    assert [client.get("/v1/models").status_code for _ in range(3)] == [200, 200, 429]


def test_a_stream_counts_once(start: Start, tenant: Tenant, rows: Rows) -> None:
    job_id, _ = rows.succeeded_job()
    client = start(rate_limit_burst=10, rate_limit_per_second=NO_REFILL)
    path, stream = f"/v1/jobs/{job_id}/events", {"Accept": "text/event-stream"}
    client.get(path, headers=tenant.headers)
    assert [rate_limit_of(client.get(path, headers=tenant.headers | stream))[1] for _ in range(2)] == [9, 8]


def test_health_and_metrics_have_no_limit(start: Start) -> None:
    client = start(anonymous_rate_limit_burst=1, anonymous_rate_limit_per_second=NO_REFILL)
    for path in ("/v1/health/live", "/v1/health/ready", "/v1/metrics"):
        for _ in range(2):
            answer = client.get(path)
            assert (answer.status_code, "RateLimit" in answer.headers) == (200, False)


def test_a_rate_of_zero_means_no_limit(start: Start, tenant: Tenant) -> None:
    client = start(rate_limit_per_second=0, rate_limit_burst=1, anonymous_rate_limit_per_second=0, failed_key_limit_per_second=0)
    for headers, status in ((tenant.headers, 200), ({}, 401), ({"Authorization": "Bearer iis_guess"}, 401)):
        answers = [client.get("/v1/models", headers=headers) for _ in range(4)]
        assert [(answer.status_code, "RateLimit" in answer.headers) for answer in answers] == [(status, False)] * 4


def test_an_ipv6_network_counts_as_one_address(start: Start) -> None:
    api = start(anonymous_rate_limit_burst=1, anonymous_rate_limit_per_second=NO_REFILL).app
    asking = ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1")
    assert [TestClient(api, client=(address, 50000)).get("/sign-in").status_code for address in asking] == [200, 429, 200]


def test_requests_pass_without_redis(start: Start, tenant: Tenant) -> None:
    client = start(redis_url="redis://127.0.0.1:1/0", rate_limit_burst=1, rate_limit_per_second=NO_REFILL)
    answers = [client.get("/v1/models", headers=tenant.headers) for _ in range(4)]
    assert [(answer.status_code, "RateLimit" in answer.headers) for answer in answers] == [(200, False)] * 4
    assert client.get("/v1/models", headers={"Authorization": "Bearer iis_guess"}).status_code == 401


def test_a_hanging_redis_opens_the_circuit_breaker(start: Start, tenant: Tenant) -> None:
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
    assert 1 <= len(called) <= 2, "one attempt and at most one retry on a new connection"


def test_limits_resume_after_redis_restarts(
    start: Start, tenant: Tenant, redis_server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "CIRCUIT_BREAKER_SECONDS", 0.0)
    client = start(rate_limit_burst=2, rate_limit_per_second=NO_REFILL)
    for _ in range(2):
        client.get("/v1/models", headers=tenant.headers)
    redis_server.stop()
    try:
        answers = [client.get("/v1/models", headers=tenant.headers) for _ in range(3)]
        assert [(answer.status_code, "RateLimit" in answer.headers) for answer in answers] == [(200, False)] * 3
    finally:
        redis_server.start()
    assert "RateLimit" in client.get("/v1/models", headers=tenant.headers).headers
