"""Isolation of the compute process: no credentials, no network, and messages that libraries cannot corrupt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from support.confinement import NOT_TESTED
from worker.sandbox.environment import scrubbed_environment
from worker.sandbox.probe import measure_protections
from worker.sandbox.process import ChildProcess
from worker.sandbox.scratch_folders import LockedFolder

if TYPE_CHECKING:
    from support.worker_service import Service

CREDENTIALS = ("IIS_", "AWS_", "PG", "DATABASE", "REDIS", "SECRET", "TOKEN", "KEY", "PASSWORD")


def test_the_compute_process_has_no_credential_in_its_environment(service: Service) -> None:
    assert service.run(service.add_check()) == "succeeded"
    environment = psutil.Process(service.compute.pid).environ()
    assert environment
    assert [name for name in environment if any(part in name for part in CREDENTIALS)] == []
    assert service.runtime.settings.database_url not in "".join(environment.values())


def test_the_compute_process_has_no_open_connection(service: Service) -> None:
    assert service.run(service.add_check()) == "succeeded"
    assert psutil.Process(service.compute.pid).net_connections() == []


@pytest.mark.skipif(sys.platform != "linux", reason=f"{NOT_TESTED}: network namespaces are Linux's.")
def test_the_compute_process_sees_its_own_loopback_interface_alone(service: Service) -> None:
    if measure_protections().network != "isolated":
        pytest.skip(f"{NOT_TESTED}: this platform does not allow network namespaces.")
    assert service.run(service.add_check()) == "succeeded"
    interfaces = Path(f"/proc/{service.compute.pid}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]


def test_proxies_are_passed_on_only_with_the_network(tmp_path: Path) -> None:
    given = {"HTTPS_PROXY": "http://proxy", "IIS_DATABASE_URL": "secret", "PATH": "/bin"}
    assert "HTTPS_PROXY" not in scrubbed_environment(given, tmp_path, tmp_path, network=False)
    with_network = scrubbed_environment(given, tmp_path, tmp_path, network=True)
    assert with_network["HTTPS_PROXY"] == "http://proxy"
    assert "IIS_DATABASE_URL" not in with_network


@pytest.mark.skipif(sys.platform != "linux", reason=f"{NOT_TESTED}: /proc is Linux's.")
def test_other_processes_of_the_same_user_cannot_read_a_hidden_environment() -> None:
    """Runs as an unprivileged user, because root may read everything."""
    program = (
        "import ctypes, os, sys\n"
        "from worker.sandbox.confinement import hide_from_children\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\n"  # a process that has changed its user is hidden from the start
        "def child_reads():\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        try: open(f'/proc/{os.getppid()}/environ', 'rb').read()\n"
        "        except OSError: os._exit(1)\n"
        "        os._exit(0)\n"
        "    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0\n"
        "before = child_reads()\n"
        "hide_from_children()\n"
        "print(before, child_reads())\n"
    )
    assert run_program(program).stdout == "True False\n"


def test_output_of_a_library_does_not_reach_the_replies() -> None:
    program = (
        "import os, sys\n"
        "from worker.child.__main__ import _take_pipes\n"
        "requests, replies = _take_pipes()\n"
        "print('chatter'); os.system('echo chatter'); sys.stdout.write('chatter')\n"
        "replies.write('the reply'); replies.flush()\n"
    )
    done = run_program(program)
    assert done.stdout == "the reply"
    assert done.stderr.count("chatter") == 3


def test_killing_a_compute_process_that_was_not_started_does_nothing(tmp_path: Path) -> None:
    ChildProcess(tmp_path, LockedFolder(tmp_path / "work", "a")).kill()


def run_program(program: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program that must succeed."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
