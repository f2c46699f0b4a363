"""`python -m app` as a process: several workers, and addresses behind proxies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from app.local.servers import free_port
from app.settings import Settings
from support.rows import Rows
from support.servers import WaitUntil
from support.tenants import Tenant

REPOSITORY = Path(__file__).parents[3]
COUNTED = re.compile(r'iis_http_requests_total\{method="GET",route="/v1/models",status="200"\} (\d+)')


@contextmanager
def served(settings: Settings, wait_until: WaitUntil, *arguments: str, **environment: str) -> Generator[str]:
    """URL of the API as a process with the settings of the test."""
    with serving(settings, wait_until, *arguments, **environment) as (url, _):
        yield url


@contextmanager
def serving(
    settings: Settings, wait_until: WaitUntil, *arguments: str, **environment: str
) -> Generator[tuple[str, subprocess.Popen[bytes]]]:
    """URL and process of the API with the settings of the test."""
    assert settings.database_url == os.environ["IIS_DATABASE_URL"]
    port = free_port()
    command = [sys.executable, "-m", "app", "--port", str(port), *arguments]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | environment)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{url}/v1/health/ready", trust_env=False, timeout=60).status_code == 200
        return False

    try:
        wait_until(answers, 60, "the API")
        yield url, process
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_each_of_several_processes_exports_the_metrics_of_all(settings: Settings, tenant: Tenant, wait_until: WaitUntil) -> None:
    with served(settings, wait_until, "--workers", "2") as url:

        def counts() -> set[int]:
            texts = [httpx.get(f"{url}/v1/metrics", trust_env=False, timeout=60).text for _ in range(10)]
            return {int(float(found[1])) for text in texts if (found := COUNTED.search(text)) is not None}

        for _ in range(40):
            assert httpx.get(f"{url}/v1/models", headers=tenant.headers, trust_env=False, timeout=60).status_code == 200
        wait_until(lambda: counts() == {40}, 20, "metrics that are a second old at most")


@pytest.mark.slow
@pytest.mark.parametrize(("proxies", "statuses"), [('["127.0.0.0/8"]', [401, 401, 429]), ("[]", [401, 429, 429])])
def test_a_forwarded_address_counts_from_a_trusted_proxy_alone(
    settings: Settings, wait_until: WaitUntil, proxies: str, statuses: list[int]
) -> None:
    limits = {"IIS_ANONYMOUS_RATE_LIMIT_BURST": "1", "IIS_ANONYMOUS_RATE_LIMIT_PER_SECOND": "0.001"}
    with served(settings, wait_until, IIS_TRUSTED_PROXIES=proxies, **limits) as url:
        addresses = (f"203.0.{os.getpid() % 250}.1", f"203.0.{os.getpid() % 250}.2", f"203.0.{os.getpid() % 250}.2")
        sent = [httpx.get(f"{url}/v1/models", headers={"X-Forwarded-For": address}, trust_env=False, timeout=60) for address in addresses]
    assert [answer.status_code for answer in sent] == statuses


@pytest.mark.slow
def test_sigterm_ends_long_polls_streams_and_queries_with_an_answer_within_10_s(
    settings: Settings, wait_until: WaitUntil, tenant: Tenant, rows: Rows
) -> None:
    job_id, pending, explained = rows.job(), rows.model(state="pending"), rows.explainable_job()
    with serving(settings, wait_until) as (url, process), ThreadPoolExecutor(4) as pool:
        wait = tenant.headers | {"Prefer": "wait=60"}

        def get(path: str, headers: dict[str, str]) -> httpx.Response:
            return httpx.get(url + path, headers=headers, trust_env=False, timeout=60)

        polls = [pool.submit(get, path, wait) for path in (f"/v1/jobs/{job_id}", f"/v1/models/{pending}")]
        stream = pool.submit(get, f"/v1/jobs/{job_id}/events", tenant.headers | {"Accept": "text/event-stream"})
        query = pool.submit(get, f"/v1/jobs/{explained}/explanations/0", tenant.headers)  # no worker runs
        time.sleep(2)  # for the requests to arrive
        assert not any(one.done() for one in (*polls, stream, query))
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) is not None
        assert time.monotonic() - began < 10
        assert [(poll.result().status_code, poll.result().json()["state"]) for poll in polls] == [(200, "queued"), (200, "pending")]
        assert "event: state" in stream.result().text
        answer = query.result()
        assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "shutting_down", "2")


@pytest.mark.slow
def test_processes_are_replaced_by_sighup_without_a_failed_request(settings: Settings, wait_until: WaitUntil, tenant: Tenant) -> None:
    with serving(settings, wait_until, "--workers", "2") as (url, process):
        before = {child.pid for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())}
        assert len(before) == 2
        process.send_signal(signal.SIGHUP)
        statuses: Counter[int] = Counter()
        until = time.monotonic() + 60
        while before & set(psutil.pids()) and time.monotonic() < until:
            statuses[httpx.get(f"{url}/v1/jobs", headers=tenant.headers, trust_env=False, timeout=60).status_code] += 1
        assert not before & set(psutil.pids())
        assert set(statuses) == {200}
        assert statuses[200] > 20
