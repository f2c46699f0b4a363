"""Start the compute process, run stages in it, watch its limits, kill it. No job or database here."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import structlog

from worker.sandbox.confinement import Grant, Protections
from worker.sandbox.downloads import DOWNLOADS, hold
from worker.sandbox.environment import DNS_PORT, HTTPS_PORT, proxy_ports, scrubbed_environment
from worker.sandbox.messages import JsonObject
from worker.sandbox.outcomes import ChildLost, DeadlinePassed, StageRefused
from worker.sandbox.pipes import new_reply_queue, read_replies, read_stderr
from worker.sandbox.resource_limits import ResourceMonitor
from worker.sandbox.scratch_folders import LockedFolder
from worker.sandbox.trees import remove_tree
from worker.sandbox.usage import ComputeUsage
from worker.sandbox.watch import Watch

START_TIMEOUT_SECONDS = 120
POLL_SECONDS = 0.25
DRAIN_SECONDS = 0.02
END_SECONDS = 5  # from the end of its output to that of the process
MESSAGE_CHARACTERS = 4000
LONGEST_SECONDS = 365 * 24 * 3600  # for a job without a deadline

log = structlog.get_logger(__name__)


class ChildProcess:
    """A compute process, started on first use, reused for jobs of the same owner, and restarted for another owner or after a kill.

    A new owner gets a fresh process because a malicious file may have taken control of the old one.

    Parameters
    ----------
    home : downloads of each owner, which the compute processes of this machine share
    folder : scratch files and workspaces of this process
    visible_folder : the only folder of the service that the process may access, around `folder`; `folder` itself by default
    best_effort : whether to run stages on Linux without Landlock or seccomp
    """

    def __init__(self, home: Path, folder: LockedFolder, *, visible_folder: Path | None = None, best_effort: bool = False) -> None:
        self._home = home
        self._best_effort = best_effort
        self._folder = folder
        self._visible_folder = visible_folder or folder.path
        self._process: subprocess.Popen[str] | None = None
        self._monitor: ResourceMonitor | None = None
        self._owner_id: str | None = None
        self._grant: Grant | None = None
        self._replies = new_reply_queue()
        self._held_downloads: int | None = None
        self._readers: list[threading.Thread] = []
        self._stderr_lines: list[str] = []

    def create_folder(self) -> Path:
        """Create the folder for workspaces unless it exists; returns its path."""
        return self._folder.create()

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
        arguments: JsonObject,
        watch: Watch,
        *,
        owner_id: str,
        reads: tuple[Path, ...] = (),
        network: bool = False,
        on_progress: Callable[[int, int], None],
        on_output: Callable[[str, JsonObject | None], None],
        on_usage: Callable[[ComputeUsage], None] = lambda _: None,
    ) -> JsonObject:
        """Run one stage to its end and return its result.

        Parameters
        ----------
        workspace : a folder under the process's own
        owner_id : owner of the files that the stage reads
        reads : files and folders elsewhere that the stage reads
        network : whether the stage downloads by name
        on_progress : called with (done, total)
        on_output : called with a finished file's name in the workspace and its details
        on_usage : called with the memory that the stage has used

        Raises
        ------
        StageRefused, ChildLost, LimitExceeded, DeadlinePassed, Interrupted
            All but the first kill the process; the next run starts a fresh one.
        """
        try:
            self._start(watch, owner_id, self._grant_for(owner_id, reads, network=network), workspace)
            self._send(
                {
                    "stage": stage,
                    "workspace": str(workspace),
                    "arguments": arguments,
                    "seconds": min(max(watch.deadline - time.monotonic(), 1), LONGEST_SECONDS),
                }
            )
            while (reply := self._receive(watch))["type"] in {"progress", "output"}:
                if reply["type"] == "progress":
                    on_progress(reply["done"], reply["total"])
                else:
                    on_output(reply["name"], reply["details"])
            result = _result(stage, reply)
            if self._monitor is not None:
                on_usage(self._monitor.take_usage(reply.get("usage")))
            return result
        except StageRefused:
            raise
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """Kill the process and everything it started, and remove its scratch files."""
        process, self._process = self._process, None
        if process is None:
            self._release_downloads()
            return
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            log.debug("compute_already_gone", pid=process.pid)
        process.wait()
        self._release_downloads()
        for reader in self._readers:
            while reader.is_alive():  # it may block on a full queue
                with suppress(queue.Empty):
                    self._replies.get(timeout=DRAIN_SECONDS)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                _close(pipe)
        remove_tree(self._scratch)

    def _release_downloads(self) -> None:
        if self._held_downloads is not None:
            os.close(self._held_downloads)
            self._held_downloads = None

    def close(self) -> None:
        """Kill the process and remove its folder."""
        self.kill()
        self._folder.close()

    @property
    def _scratch(self) -> Path:
        return self.folder / "home"

    def _downloads(self, owner_id: str) -> Path:
        """The owner's own folder: the files in it were written by processes that parse the owner's files."""
        return self._home / DOWNLOADS / owner_id

    def _grant_for(self, owner_id: str, reads: tuple[Path, ...], *, network: bool) -> Grant:
        downloads = str(self._downloads(owner_id))
        writable = (str(self._visible_folder), *((downloads,) if network else ()))
        ports = (DNS_PORT, HTTPS_PORT, *proxy_ports(os.environ)) if network else ()
        return Grant(network, writable, tuple(sorted({downloads, *map(str, reads)})), ports)

    def _start(self, watch: Watch, owner_id: str, grant: Grant, workspace: Path) -> None:
        if self.pid is not None and self._owner_id == owner_id and self._grant is not None and self._grant.covers(grant):
            return
        self.kill()
        self._folder.create()
        if self._owner_id != owner_id:
            self._folder.clear(keep=workspace)
        self._owner_id, self._grant, self._replies, self._stderr_lines = owner_id, grant, new_reply_queue(), []
        downloads = self._downloads(owner_id)
        self._scratch.mkdir(parents=True, exist_ok=True)
        self._held_downloads = hold(downloads)
        self._process = subprocess.Popen(
            # -P and -s: import nothing from the working folder or from HOME, where an earlier process may have left files.
            [sys.executable, "-P", "-s", "-m", "worker.child", str(os.getpid()), json.dumps(grant.to_dict())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=self._scratch,
            env=scrubbed_environment(os.environ, self._scratch, downloads, network=grant.network),
            start_new_session=True,
        )
        stdout, stderr = self._process.stdout, self._process.stderr
        self._readers = [
            threading.Thread(target=read_replies, args=(stdout, self._replies), name="compute-stdout", daemon=True),
            threading.Thread(target=read_stderr, args=(stderr, self._stderr_lines), name="compute-stderr", daemon=True),
        ]
        for thread in self._readers:
            thread.start()
        self._monitor = ResourceMonitor(self._process.pid, self._visible_folder, *((downloads,) if grant.network else ()))
        hello = self._receive(Watch(watch.stop, min(watch.deadline, time.monotonic() + START_TIMEOUT_SECONDS), watch.limits))
        protections = Protections(**hello["protections"])
        log.info("compute_started", pid=self._process.pid, **protections.to_dict())
        if not self._best_effort and (reason := protections.missing()) is not None:
            raise ChildLost(reason)

    def _send(self, request: JsonObject) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise ChildLost(self._describe_end())
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        except OSError as error:
            raise ChildLost(self._describe_end()) from error

    def _receive(self, watch: Watch) -> JsonObject:
        while True:
            watch.stop.check()
            if time.monotonic() > watch.deadline:
                raise DeadlinePassed
            if self._monitor is not None:
                self._monitor.check(watch.limits)
            try:
                message = self._replies.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if message is None:
                raise ChildLost(self._describe_end())
            return message

    def _describe_end(self) -> str:
        """A sentence on how the process ended; its last lines of stderr go to the log."""
        process = self._process
        try:
            code = process.wait(END_SECONDS) if process is not None else None
        except subprocess.TimeoutExpired:
            return "The compute process sent something else than replies, or closed its output."
        if code is not None and code < 0:
            end = f"was killed by {signal.Signals(-code).name}" + (" (often because memory ran out)" if code == -signal.SIGKILL else "")
        else:
            end = f"ended with status {code}"
        log.warning("compute_lost", status=code, stderr="".join(self._stderr_lines))
        return f"The compute process {end}."


def _result(stage: str, reply: JsonObject) -> JsonObject:
    if reply["type"] == "refused":
        param = reply["param"]
        code, message = (str(reply[name])[:MESSAGE_CHARACTERS] for name in ("code", "message"))
        raise StageRefused(code, message, None if param is None else str(param)[:MESSAGE_CHARACTERS])
    if reply["type"] != "done":
        raise ChildLost(f"The stage {stage} crashed: {str(reply.get('message', 'it sent no message'))[:MESSAGE_CHARACTERS]}.")
    return reply["result"]


def _close(pipe: IO[str]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        log.debug("compute_input_not_read")
