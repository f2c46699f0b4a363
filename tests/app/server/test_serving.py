"""`python -m app` as a process: several workers, and addresses behind proxies."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from app.local.servers import free_port
from app.settings import Settings
from support.servers import WaitUntil
from support.tenants import Tenant

REPOSITORY = Path(__file__).parents[3]
COUNTED = re.compile(r'iis_http_requests_total\{method="GET",route="/v1/models",status="200"\} (\d+)')


@contextmanager
def served(settings: Settings, wait_until: WaitUntil, *arguments: str, **environment: str) -> Generator[str]:
    """URL of the API as a process with the settings of the test."""
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
        yield url
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
