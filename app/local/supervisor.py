"""Processes kept alive together: started in order, restarted when they die, stopped in the opposite order. Knows none of them by name."""

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
DEATHS_BEFORE_GIVING_UP = 6
FORGET_DEATHS_AFTER_SECONDS = 60.0

log = structlog.get_logger(__name__)


class SupervisionError(Exception):
    """The processes cannot be kept alive; the message is the sentence for the person at the terminal."""


@dataclass(frozen=True)
class Program:
    """How one process is started and asked to stop.

    Attributes
    ----------
    answers : whether it is ready; None: as soon as it runs
    identity : further arguments of Popen (`user`, `group`)
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
    deaths: list[float] = field(default_factory=list[float])
    restart_at: float | None = None


class Supervisor:
    """Programs in one process group, apart from the terminal's, so that Ctrl-C reaches only us and we stop them in order."""

    def __init__(self, folder: Path, should_stop: Callable[[], bool]) -> None:
        self._logs = folder / "logs"
        self._record = folder / "processes.json"
        self._should_stop = should_stop
        self._running: list[_Running] = []
        self._logs.mkdir(parents=True, exist_ok=True)

    def end_leftovers(self) -> None:
        """End what a former run that was killed has left running."""
        try:
            recorded = json.loads(self._record.read_text())
        except (FileNotFoundError, ValueError):
            return
        left = [process for pid, created in recorded if (process := _same_process(pid, created))]
        for process in left:
            process.send_signal(signal.SIGINT)
        _, stubborn = psutil.wait_procs(left, STOP_TIMEOUT_SECONDS)
        for process in stubborn:
            process.kill()
        psutil.wait_procs(stubborn, STOP_TIMEOUT_SECONDS)
        self._record.unlink(missing_ok=True)

    def start(self, program: Program) -> None:
        """Start a program and wait until it answers.

        Raises
        ------
        SupervisionError
            When it ends or stays silent.
        """
        running = _Running(program, self._spawn(program))
        self._running.append(running)
        self._note()
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while program.answers is not None and not program.answers():
            status = running.process.poll()
            if status is not None:
                raise SupervisionError(f"{program.name} ended with status {status} as it started; see {self._log(program)}.")
            if time.monotonic() > deadline:
                raise SupervisionError(f"{program.name} did not answer within {START_TIMEOUT_SECONDS:g} s; see {self._log(program)}.")
            if self._should_stop():
                return
            time.sleep(POLL_SECONDS)

    def keep_alive(self) -> None:
        """Restart what dies, with growing pauses, until we should stop.

        Raises
        ------
        SupervisionError
            When a program keeps dying.
        """
        while not self._should_stop():
            for running in self._running:
                self._revive(running)
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop everything, last started first; what does not obey in time is killed."""
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
        self._record.unlink(missing_ok=True)

    def _revive(self, running: _Running) -> None:
        now = time.monotonic()
        if running.restart_at is None:
            status = running.process.poll()
            if status is None:
                return
            running.deaths = [death for death in running.deaths if now - death < FORGET_DEATHS_AFTER_SECONDS] + [now]
            if len(running.deaths) >= DEATHS_BEFORE_GIVING_UP:
                raise SupervisionError(f"{running.program.name} keeps ending (status {status}); see {self._log(running.program)}.")
            running.restart_at = now + FIRST_BACKOFF_SECONDS * 2 ** (len(running.deaths) - 1)
            log.warning("process_ended", name=running.program.name, status=status)
        elif now >= running.restart_at:
            running.restart_at = None
            running.process = self._spawn(running.program)
            self._note()

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
                preexec_fn=_stop_with_parent(program.stop_signal),  # noqa: PLW1509 (we have one thread)
                **program.identity,
            )

    def _note(self) -> None:
        alive = [_identity(running.process.pid) for running in self._running]
        self._record.write_text(json.dumps([entry for entry in alive if entry is not None]))

    def _log(self, program: Program) -> Path:
        return self._logs / f"{program.name}.log"


def _stop_with_parent(stop_signal: signal.Signals) -> Callable[[], None] | None:
    """On Linux the kernel stops our processes even when we are killed; elsewhere the next run ends them."""
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
    """The process, unless its number was given to another since."""
    try:
        process = psutil.Process(pid)
        return process if abs(process.create_time() - created) < 1 else None
    except psutil.NoSuchProcess:
        return None
