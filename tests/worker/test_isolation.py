"""The compute process parses strangers' files: it holds no credentials, sees no network, and cannot corrupt what it says to the parent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from worker.compute import Compute, scrubbed_environment

if TYPE_CHECKING:
    from .conftest import Service

CREDENTIALS = ("IIS_", "AWS_", "PG", "DATABASE", "REDIS", "SECRET", "TOKEN", "KEY", "PASSWORD")


def test_no_credential_reaches_the_compute_process(service: Service) -> None:
    assert service.run(service.add_check()) == "succeeded"
    environment = psutil.Process(service.compute.pid).environ()
    assert environment
    assert [name for name in environment if any(part in name for part in CREDENTIALS)] == []
    assert service.runtime.settings.database_url not in "".join(environment.values())


def test_no_connection_of_the_service_reaches_the_compute_process(service: Service) -> None:
    assert service.run(service.add_check()) == "succeeded"
    assert psutil.Process(service.compute.pid).net_connections() == []


@pytest.mark.skipif(sys.platform != "linux", reason="network name spaces are Linux's")
def test_the_compute_process_sees_no_network_interface_but_its_own_loopback(service: Service) -> None:
    allowed = subprocess.run(
        [sys.executable, "-c", "from worker.isolation import leave_network; raise SystemExit(not leave_network())"], check=False
    )
    if allowed.returncode != 0:
        pytest.skip("this platform lets no process leave the network")
    assert service.run(service.add_check()) == "succeeded"
    interfaces = Path(f"/proc/{service.compute.pid}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]


def test_a_proxy_is_passed_on_only_where_the_network_is_needed(tmp_path: Path) -> None:
    given = {"HTTPS_PROXY": "http://proxy", "IIS_DATABASE_URL": "secret", "PATH": "/bin"}
    assert "HTTPS_PROXY" not in scrubbed_environment(given, tmp_path, network=False)
    with_network = scrubbed_environment(given, tmp_path, network=True)
    assert with_network["HTTPS_PROXY"] == "http://proxy"
    assert "IIS_DATABASE_URL" not in with_network


def test_a_library_that_prints_does_not_corrupt_the_protocol() -> None:
    program = (
        "import os, sys\n"
        "from worker.child import _claim_pipes\n"
        "requests, answers = _claim_pipes()\n"
        "print('chatter'); os.system('echo chatter'); sys.stdout.write('chatter')\n"
        "answers.write('the answer'); answers.flush()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "the answer"
    assert done.stderr.count("chatter") == 3


def test_killing_a_compute_process_that_never_started_is_harmless(tmp_path: Path) -> None:
    Compute(tmp_path).kill()
