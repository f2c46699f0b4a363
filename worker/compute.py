"""The parent's handle on the compute process: start it bare, ask for a stage, watch it, kill it. Knows no job and no database."""

from __future__ import annotations

import json
import math
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import psutil
import structlog

PASSED_ON = (
    # What a numerical library needs to run; everything else, and with it every credential, stays behind.
    "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "MKL_NUM_THREADS",
    "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PATH", "PYTORCH_CUDA_ALLOC_CONF", "TZ",
)  # fmt: skip
PASSED_ON_FOR_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_DIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
START_TIMEOUT_SECONDS = 120
WATCH_SECONDS = 0.25
ERROR_LINES_KEPT = 40

log = structlog.get_logger(__name__)


class StageRefused(Exception):
    """The input is at fault; another attempt would end the same."""

    def __init__(self, code: str, message: str, param: str | None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, "param": param}


class ChildLost(Exception):
    """The compute process died or broke; another attempt may succeed. The message is a sentence."""


class MemoryExceeded(Exception):
    """The compute process grew over its limit and was killed."""


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
    memory_bytes: int | None


class Compute:
    """One compute process, started on first use, kept warm between jobs and replaced when it was killed."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._process: subprocess.Popen[str] | None = None
        self._network = False
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._last_words: list[str] = []
        self._weigh_at = 0.0

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
        network: bool = False,
        on_progress: Callable[[int, int], None],
        on_output: Callable[[str, dict[str, Any] | None], None],
    ) -> dict[str, Any]:
        """Run one stage to its end and return its result.

        Raises
        ------
        StageRefused, ChildLost, MemoryExceeded, DeadlinePassed, Interrupted
            After every one but the first the process is killed; the next run starts a fresh one.
        """
        self._weigh_at = time.monotonic() + WATCH_SECONDS
        try:
            self._start(watch, network=network)
            self._send({"stage": stage, "workspace": str(workspace), "arguments": arguments})
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
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                _close(pipe)

    def _start(self, watch: Watch, *, network: bool) -> None:
        if self.pid is not None and self._network == network:
            return
        self.kill()
        self._network, self._answers, self._last_words = network, queue.SimpleQueue(), []
        self._home.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "worker.child", str(os.getpid()), "network" if network else "isolated"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=self._home,
            env=scrubbed_environment(os.environ, self._home, network=network),
            start_new_session=True,
        )
        pipes = self._process.stdout, self._process.stderr
        for pipe, pump in zip(pipes, (_pump_answers, _pump_errors), strict=True):
            threading.Thread(target=pump, args=(pipe, self._answers, self._last_words), name="compute-pipe", daemon=True).start()
        hello = self._receive(Watch(watch.stop, min(watch.deadline, time.monotonic() + START_TIMEOUT_SECONDS), watch.memory_bytes))
        log.info("compute_started", pid=self._process.pid, network=hello["network"])

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
            if time.monotonic() >= self._weigh_at:  # it costs milliseconds, which an answer to a question may be all done in
                self._check_memory(watch.memory_bytes)
                self._weigh_at = time.monotonic() + WATCH_SECONDS
            try:
                message = self._answers.get(timeout=WATCH_SECONDS)
            except queue.Empty:
                continue
            if message is None:
                raise ChildLost(self._obituary())
            return message

    def _check_memory(self, limit_bytes: int | None) -> None:
        if limit_bytes is None or self._process is None:
            return
        try:
            process = psutil.Process(self._process.pid)
            used = sum(part.memory_info().rss for part in (process, *process.children(recursive=True)))
        except psutil.Error:
            return  # it has just ended; the pipe will say so
        if used > limit_bytes:
            raise MemoryExceeded(f"The job used {used / 1e9:.1f} GB of memory; {limit_bytes / 1e9:.1f} GB are allowed.")

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


def scrubbed_environment(environment: Mapping[str, str], home: Path, *, network: bool) -> dict[str, str]:
    """The compute process's environment: an allow-list, a home of its own, and where our packages are."""
    names = PASSED_ON + (PASSED_ON_FOR_NETWORK if network else ())
    kept = {name: environment[name] for name in names if name in environment}
    places = {"HOME": home, "TMPDIR": home, "HF_HOME": home / "hub", "TORCH_HOME": home / "hub", "MPLCONFIGDIR": home / "matplotlib"}
    return (
        kept
        | {name: str(folder) for name, folder in places.items()}
        | {
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "PYTHONUNBUFFERED": "1",
            "MPLBACKEND": "agg",
            # Waiting threads sleep: spinning ones starve the database, the API and a second job on the same cores.
            "OMP_WAIT_POLICY": "PASSIVE",
            "HF_HUB_OFFLINE": "0" if network else "1",
        }
    )


def _pump_answers(pipe: IO[str], answers: queue.SimpleQueue[dict[str, Any] | None], _: list[str]) -> None:
    try:
        for line in pipe:
            answers.put(_storable(json.loads(line)))
    except ValueError:
        log.warning("compute_spoke_nonsense")
    answers.put(None)


def _storable(answer: Any) -> Any:
    """The same answer with a mark in place of what PostgreSQL's text and JSON cannot hold: NUL and halves of surrogate pairs."""
    if isinstance(answer, str):
        return re.sub("[\0\ud800-\udfff]", "\ufffd", answer)
    if isinstance(answer, list):
        return [_storable(part) for part in cast("list[Any]", answer)]
    if isinstance(answer, dict):
        return {_storable(name): _storable(part) for name, part in cast("dict[str, Any]", answer).items()}
    return answer


def _pump_errors(pipe: IO[str], _: queue.SimpleQueue[dict[str, Any] | None], last_words: list[str]) -> None:
    for line in pipe:
        last_words.append(line)
        del last_words[:-ERROR_LINES_KEPT]


def _close(pipe: IO[str]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        log.debug("compute_input_unread")
