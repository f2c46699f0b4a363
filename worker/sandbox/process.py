"""The parent's handle on the compute process: start it bare, ask for a stage, watch it, kill it. Knows no job and no database."""

from __future__ import annotations

import json
import math
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import structlog

from worker.sandbox.confinement import Grant
from worker.sandbox.environment import HTTPS_PORT, proxy_ports, scrubbed_environment
from worker.sandbox.pipes import new_answers, pump_answers, pump_errors
from worker.sandbox.resource_limits import ResourceLimits, ResourceMonitor
from worker.sandbox.scratch_folders import LockedFolder

START_TIMEOUT_SECONDS = 120
WATCH_SECONDS = 0.25
PUMP_SECONDS = 0.02
LONGEST_SECONDS = 365 * 24 * 3600  # of a job without a deadline
DOWNLOADS = "hub"

log = structlog.get_logger(__name__)


class StageRefused(Exception):
    """The input is at fault; another attempt would end the same."""

    def __init__(self, code: str, message: str, param: str | None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, "param": param}


class ChildLost(Exception):
    """The compute process died or broke; another attempt may succeed. The message is a sentence."""


class DeadlinePassed(Exception):
    """The job's time was over before the stage was."""


class Interrupted(Exception):
    """The job must stop now: see `Stop.reason`."""


@dataclass
class Stop:
    """Set from another thread to stop the job; the first reason stays."""

    event: threading.Event = field(default_factory=threading.Event)
    reason: str | None = None  # lease_lost, canceling or shutdown
    lease_until: float = math.inf  # time.monotonic() after which the job may be another worker's

    def set(self, reason: str) -> None:
        if not self.event.is_set():
            self.reason = reason
            self.event.set()

    def check(self) -> None:
        """Raise `Interrupted` when the job must stop."""
        if time.monotonic() > self.lease_until:
            self.set("lease_lost")
        if self.event.is_set():
            raise Interrupted(self.reason)


@dataclass(frozen=True)
class Watch:
    """What bounds one job while its stages run."""

    stop: Stop
    deadline: float  # time.monotonic()
    limits: ResourceLimits


class ChildProcess:
    """One compute process, started on first use, kept warm between jobs of one owner and replaced when it was killed.

    What a hostile file may have made of the process ends with it: the next owner's job gets a fresh one.

    Parameters
    ----------
    home : what all compute processes of this machine share, which is what they fetched by name
    folder : for its own scratch files, and for workspaces
    sees : the folder around it where that is all that it sees of the service's files; else it sees `folder` alone
    """

    def __init__(self, home: Path, folder: LockedFolder, *, sees: Path | None = None) -> None:
        self._home = home
        self._folder = folder
        self._sees = sees or folder.path
        self._process: subprocess.Popen[str] | None = None
        self._scales: ResourceMonitor | None = None
        self._owner_id: str | None = None
        self._grant: Grant | None = None
        self._answers = new_answers()
        self._pumps: list[threading.Thread] = []
        self._last_words: list[str] = []

    def claim_folder(self) -> Path:
        """The folder that workspaces must lie in, made the first time."""
        return self._folder.claim()

    @property
    def folder(self) -> Path:
        return self._folder.path

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def run(
        self,
        stage: str,
        workspace: Path,
        arguments: dict[str, Any],
        watch: Watch,
        *,
        owner_id: str,
        reads: tuple[Path, ...] = (),
        network: bool = False,
        on_progress: Callable[[int, int], None],
        on_output: Callable[[str, dict[str, Any] | None], None],
    ) -> dict[str, Any]:
        """Run one stage to its end and return its result.

        Parameters
        ----------
        workspace : beneath the process's folder
        owner_id : whose files it reads
        reads : files and folders elsewhere that the stage reads

        Raises
        ------
        StageRefused, ChildLost, LimitExceeded, DeadlinePassed, Interrupted
            After every one but the first the process is killed; the next run starts a fresh one.
        """
        try:
            self._start(watch, owner_id, self._grant_for(reads, network=network))
            self._send(
                {
                    "stage": stage,
                    "workspace": str(workspace),
                    "arguments": arguments,
                    "seconds": min(max(watch.deadline - time.monotonic(), 1), LONGEST_SECONDS),
                }
            )
            while (answer := self._receive(watch))["type"] in {"progress", "output"}:
                if answer["type"] == "progress":
                    on_progress(answer["done"], answer["total"])
                else:
                    on_output(answer["name"], answer["about"])
            return _result(stage, answer)
        except StageRefused:
            raise
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End the process and everything it started, at once."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            log.debug("compute_already_gone", pid=process.pid)
        process.wait()
        for pump in self._pumps:
            while pump.is_alive():  # it may have more to say than waits to be heard
                with suppress(queue.Empty):
                    self._answers.get(timeout=PUMP_SECONDS)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                _close(pipe)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def close(self) -> None:
        """End the process and remove the folder."""
        self.kill()
        self._folder.close()

    @property
    def _scratch(self) -> Path:
        return self.folder / "home"

    def _grant_for(self, reads: tuple[Path, ...], *, network: bool) -> Grant:
        downloads = str(self._home / DOWNLOADS)
        writes = (str(self._sees), *((downloads,) if network else ()))
        ports = (HTTPS_PORT, *proxy_ports(os.environ)) if network else ()
        return Grant(network, writes, tuple(sorted({downloads, *map(str, reads)})), ports)

    def _start(self, watch: Watch, owner_id: str, grant: Grant) -> None:
        if self.pid is not None and self._owner_id == owner_id and self._grant is not None and self._grant.covers(grant):
            return
        self.kill()
        self._owner_id, self._grant, self._answers, self._last_words = owner_id, grant, new_answers(), []
        self._folder.claim()
        for folder in (self._home / DOWNLOADS, self._scratch):
            folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            # Without the working folder (-P) and a home's own packages (-s): what one process leaves there, another would run.
            [sys.executable, "-P", "-s", "-m", "worker.child", str(os.getpid()), json.dumps(grant.to_dict())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=self._scratch,
            env=scrubbed_environment(os.environ, self._scratch, self._home / DOWNLOADS, network=grant.network),
            start_new_session=True,
        )
        pipes = self._process.stdout, self._process.stderr
        self._pumps = [
            threading.Thread(target=pump, args=(pipe, self._answers, self._last_words), name="compute-pipe", daemon=True)
            for pipe, pump in zip(pipes, (pump_answers, pump_errors), strict=True)
        ]
        for thread in self._pumps:
            thread.start()
        self._scales = ResourceMonitor(self._process.pid, self._sees)
        hello = self._receive(Watch(watch.stop, min(watch.deadline, time.monotonic() + START_TIMEOUT_SECONDS), watch.limits))
        log.info("compute_started", pid=self._process.pid, **hello["held"])

    def _send(self, request: dict[str, Any]) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise ChildLost(self._obituary())
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        except OSError as error:
            raise ChildLost(self._obituary()) from error

    def _receive(self, watch: Watch) -> dict[str, Any]:
        while True:
            watch.stop.check()
            if time.monotonic() > watch.deadline:
                raise DeadlinePassed
            if self._scales is not None:
                self._scales.check(watch.limits)
            try:
                message = self._answers.get(timeout=WATCH_SECONDS)
            except queue.Empty:
                continue
            if message is None:
                raise ChildLost(self._obituary())
            return message

    def _obituary(self) -> str:
        process = self._process
        code = process.wait(START_TIMEOUT_SECONDS) if process is not None else None
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}" + (" (often a lack of memory)" if code == -signal.SIGKILL else "")
        else:
            how = f"ended with status {code}"
        log.warning("compute_lost", status=code, last_words="".join(self._last_words))
        return f"The compute process {how}."


def _result(stage: str, answer: dict[str, Any]) -> dict[str, Any]:
    if answer["type"] == "refused":
        raise StageRefused(answer["code"], answer["message"], answer["param"])
    if answer["type"] != "done":
        raise ChildLost(f"The stage {stage} broke: {answer.get('message', 'it gave no answer')}.")
    return answer["result"]


def _close(pipe: IO[str]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        log.debug("compute_input_unread")
