"""Process supervisor: start in order, restart with backoff, stop in reverse order.

Own implementation because it must run on Linux and macOS without root or configuration files and clean up after a killed run
(docs/decisions/0005-own-implementations.md).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import structlog

PR_SET_PDEATHSIG = 1
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 15.0
POLL_SECONDS = 0.1
FIRST_BACKOFF_SECONDS = 0.5
MAX_EXITS = 6  # within EXIT_WINDOW_SECONDS, after which the supervisor gives up
EXIT_WINDOW_SECONDS = 60.0

log = structlog.get_logger(__name__)


class SupervisionError(Exception):
    """The processes cannot be kept running; the message is for the user at the terminal."""


@dataclass(frozen=True)
class Program:
    """Command of one process, and how to stop it.

    Attributes
    ----------
    answers : readiness check; None if the process is ready once it runs
    identity : arguments of Popen that select the account (`user`, `group`)
    folder : working directory
    """

    name: str
    command: list[str]
    environment: Mapping[str, str]
    answers: Callable[[], bool] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    identity: Mapping[str, Any] = field(default_factory=dict[str, Any])
    folder: Path = Path("/")


@dataclass
class _Running:
    program: Program
    process: subprocess.Popen[Any]
    exits: list[float] = field(default_factory=list[float])
    restart_at: float | None = None  # monotonic seconds; None while it runs


class Supervisor:
    """Runs programs in a separate process group, so that Ctrl-C reaches only the supervisor, which stops them in order."""

    def __init__(self, folder: Path, should_stop: Callable[[], bool]) -> None:
        self._logs = folder / "logs"
        self._pid_file = folder / "processes.json"
        self._should_stop = should_stop
        self._running: list[_Running] = []
        self._logs.mkdir(parents=True, exist_ok=True)

    def end_leftovers(self) -> None:
        """Stop processes that an earlier, killed run has left running."""
        try:
            recorded = json.loads(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return
        leftovers = [process for pid, created in recorded if (process := _same_process(pid, created))]
        for process in leftovers:
            process.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(leftovers, STOP_TIMEOUT_SECONDS)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, STOP_TIMEOUT_SECONDS)
        self._pid_file.unlink(missing_ok=True)

    def start(self, program: Program) -> None:
        """Start a program and wait until it is ready.

        Raises
        ------
        SupervisionError
            If it exits or does not become ready in time.
        """
        running = _Running(program, self._spawn(program))
        self._running.append(running)
        self._write_pid_file()
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while program.answers is not None and not program.answers():
            status = running.process.poll()
            if status is not None:
                raise SupervisionError(f"{program.name} exited with status {status} during startup; see {self._log(program)}.")
            if time.monotonic() > deadline:
                raise SupervisionError(f"{program.name} was not ready within {START_TIMEOUT_SECONDS:g} s; see {self._log(program)}.")
            if self._should_stop():
                return
            time.sleep(POLL_SECONDS)

    def keep_alive(self) -> None:
        """Restart exited programs with exponential backoff until `should_stop` returns True.

        Raises
        ------
        SupervisionError
            If a program exits too often.
        """
        while not self._should_stop():
            for running in self._running:
                self._restart_if_exited(running)
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop all programs in reverse order; kill those that do not exit within STOP_TIMEOUT_SECONDS."""
        for running in reversed(self._running):
            process = running.process
            if process.poll() is None:
                process.send_signal(running.program.stop_signal)
            try:
                process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                log.warning("process_killed", name=running.program.name)
                process.kill()
                process.wait()
        self._running.clear()
        self._pid_file.unlink(missing_ok=True)

    def _restart_if_exited(self, running: _Running) -> None:
        now = time.monotonic()
        if running.restart_at is None:
            status = running.process.poll()
            if status is None:
                return
            running.exits = [moment for moment in running.exits if now - moment < EXIT_WINDOW_SECONDS] + [now]
            if len(running.exits) >= MAX_EXITS:
                raise SupervisionError(f"{running.program.name} exits repeatedly (status {status}); see {self._log(running.program)}.")
            running.restart_at = now + FIRST_BACKOFF_SECONDS * 2 ** (len(running.exits) - 1)
            log.warning("process_exited", name=running.program.name, status=status)
        elif now >= running.restart_at:
            running.restart_at = None
            running.process = self._spawn(running.program)
            self._write_pid_file()

    def _spawn(self, program: Program) -> subprocess.Popen[Any]:
        group = next((running.process.pid for running in self._running if running.process.poll() is None), 0)
        with self._log(program).open("ab") as output:
            return subprocess.Popen(
                program.command,
                env=dict(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=program.folder,
                process_group=os.getpgid(group) if group else 0,
                preexec_fn=_stop_with_parent(program.stop_signal),  # noqa: PLW1509 (single-threaded)
                **program.identity,
            )

    def _write_pid_file(self) -> None:
        alive = [_identity(running.process.pid) for running in self._running]
        self._pid_file.write_text(json.dumps([entry for entry in alive if entry is not None]))

    def _log(self, program: Program) -> Path:
        return self._logs / f"{program.name}.log"


def _stop_with_parent(stop_signal: signal.Signals) -> Callable[[], None] | None:
    """On Linux, `preexec_fn` that makes the kernel stop the process when the supervisor is killed; elsewhere the next run stops it."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(PR_SET_PDEATHSIG, stop_signal, 0, 0, 0)


def _identity(pid: int) -> tuple[int, float] | None:
    try:
        return pid, psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def _same_process(pid: int, created: float) -> psutil.Process | None:
    """Process with this pid; None if the pid was reused."""
    try:
        process = psutil.Process(pid)
        return process if abs(process.create_time() - created) < 1 else None
    except psutil.NoSuchProcess:
        return None
