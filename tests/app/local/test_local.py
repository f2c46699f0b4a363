"""Embedded stack as a command: it starts, restarts killed processes, and leaves no process running."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from app.local.__main__ import METRICS_PORT, Workers, worker_program

REPOSITORY = Path(__file__).parents[3]
START_SECONDS = 90


class Stack:
    """A running `python -m app.local up`."""

    def __init__(self, folder: Path, wait_until: Callable[..., Any], checkout: Path = REPOSITORY) -> None:
        self.folder = folder
        self.ready_file = folder / "ready.json"
        self.wait_until = wait_until
        environment = {name: value for name, value in os.environ.items() if not name.startswith("IIS_")}
        environment["PYTHONPATH"] = str(checkout)
        environment |= {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}  # the stack must ignore proxies
        command = [
            sys.executable,
            "-m",
            "app.local",
            "up",
            "--data-folder",
            str(folder / "data"),
            "--port",
            "0",
            "--ready-file",
            str(self.ready_file),
        ]
        with (folder / "stack.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=checkout, env=environment, stdout=log, stderr=log, start_new_session=True)

    def await_ready(self) -> dict[str, Any]:
        def ready() -> bool:
            assert self.process.poll() is None, (self.folder / "stack.log").read_text()
            return self.ready_file.exists()

        self.wait_until(ready, START_SECONDS, "the stack to be ready")
        return json.loads(self.ready_file.read_text())

    def children(self) -> dict[str, psutil.Process]:
        """Child processes by role."""
        words = {"postgres": "postgres", "redis-server": "redis", " -m app --": "api", "celery": "worker"}
        found: dict[str, psutil.Process] = {}
        for process in psutil.Process(self.process.pid).children():
            try:
                line = " ".join(process.cmdline())
            except psutil.ZombieProcess:
                continue
            found |= {name: process for word, name in words.items() if word in line}  # a starting process has no command line yet
        return found

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture
def stack(tmp_path: Path, wait_until: Callable[..., Any]) -> Iterator[Stack]:
    stack = Stack(tmp_path, wait_until)
    yield stack
    stack.stop()


def jobs_status(ready: dict[str, Any]) -> int:
    key = Path(ready["api_key_file"]).read_text()
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{ready['url']}/v1/jobs", headers=headers, timeout=10, trust_env=False).status_code


@pytest.mark.slow
def test_the_stack_starts_restarts_killed_processes_and_stops_cleanly(stack: Stack) -> None:
    ready = stack.await_ready()
    assert ready["url"].startswith("http://127.0.0.1:")
    assert jobs_status(ready) == 200
    assert stat.S_IMODE(Path(ready["api_key_file"]).stat().st_mode) == 0o600
    children = stack.children()
    assert set(children) == {"postgres", "redis", "api", "worker"}
    assert {process.net_connections("tcp")[0].laddr.ip for name, process in children.items() if name in {"redis", "api"}} == {"127.0.0.1"}
    assert not [listening for listening in children["postgres"].net_connections("tcp") if listening.status == psutil.CONN_LISTEN]
    children["redis"].kill()
    stack.wait_until(lambda: stack.children().get("redis", children["redis"]).pid != children["redis"].pid, 30, "Redis to be restarted")
    assert stack.stop() == 0
    _, alive = psutil.wait_procs(children.values(), 5)
    assert not alive
    assert not stack.ready_file.exists()


@pytest.mark.slow
def test_a_killed_stack_starts_again_on_the_same_data(stack: Stack, tmp_path: Path, wait_until: Callable[..., Any]) -> None:
    key = Path(stack.await_ready()["api_key_file"]).read_text()
    stack.process.kill()
    stack.process.wait()
    stack.ready_file.unlink()
    again = Stack(tmp_path, wait_until)
    try:
        ready = again.await_ready()
        assert Path(ready["api_key_file"]).read_text() == key
        assert jobs_status(ready) == 200
    finally:
        assert again.stop() == 0


@pytest.mark.slow
def test_a_second_stack_on_the_same_data_is_refused(stack: Stack, tmp_path: Path) -> None:
    ready = stack.await_ready()
    command = [sys.executable, "-m", "app.local", "up", "--data-folder", str(tmp_path / "data"), "--port", "0"]
    began = time.monotonic()
    second = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "another stack is running" in second.stderr
    assert time.monotonic() - began < 30
    assert jobs_status(ready) == 200


@pytest.mark.slow
def test_the_stack_starts_from_a_checkout_whose_path_contains_a_percent_sign(tmp_path: Path, wait_until: Callable[..., Any]) -> None:
    checkout = tmp_path / "100%d"  # an interpolation in configparser's syntax
    for package in ("app", "iis_engine", "iis_schemas", "migrations", "worker"):
        shutil.copytree(REPOSITORY / package, checkout / package, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    stack = Stack(tmp_path, wait_until, checkout)
    try:
        assert jobs_status(stack.await_ready()) == 200
    finally:
        assert stack.stop() == 0


@pytest.mark.parametrize(
    ("count", "concurrency", "cores", "threads"), [(1, 1, 8, 8), (2, 1, 8, 4), (2, 2, 8, 2), (3, 1, 8, 2), (4, 1, 2, 1)]
)
def test_compute_processes_share_the_cores(count: int, concurrency: int, cores: int, threads: int) -> None:
    assert Workers(count, concurrency).threads(cores) == threads


def test_each_of_several_workers_has_a_name_a_share_of_the_cores_and_a_port_for_metrics() -> None:
    programs = [worker_program(number, Workers(2, 1), {METRICS_PORT: "9100"}) for number in range(2)]
    assert [program.name for program in programs] == ["worker", "worker-2"]
    assert [program.environment[METRICS_PORT] for program in programs] == ["9100", "9101"]
    assert all(int(program.environment["OMP_NUM_THREADS"]) == max(1, (os.cpu_count() or 1) // 2) for program in programs)
    chosen = worker_program(0, Workers(2, 1), {"OMP_NUM_THREADS": "7"})
    assert chosen.environment["OMP_NUM_THREADS"] == "7"
    assert "OMP_NUM_THREADS" not in worker_program(0, Workers(1, 1), {}).environment
