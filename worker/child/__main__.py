"""Compute process (`python -m worker.child`): confine itself, then run one requested stage after another.

It holds no credentials and imports no part of the service. It ends when standard input closes or the parent dies.
`worker.sandbox.messages` describes requests and replies.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import IO

from worker.child.unpickling import forbid_pickled_objects
from worker.sandbox.confinement import Grant, confine, limit_processor_time
from worker.sandbox.messages import JsonObject

IDLE_SECONDS = 5.0  # without a request, after which free memory is returned


def main(arguments: list[str]) -> None:
    """Serve requests until the parent closes standard input.

    Parameters
    ----------
    arguments : the parent's process id, and a `Grant` as JSON
    """
    import_module("iis_engine")  # before confinement, after which the folder around the package cannot be listed
    protections = confine(int(arguments[0]), Grant(**json.loads(arguments[1])))
    forbid_pickled_objects()
    requests, replies = _take_pipes()
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests, lines), name="requests", daemon=True).start()
    from worker.child import usage
    from worker.child.registry import STAGES, prepare

    prepare()
    writer = ReplyWriter(replies)
    writer.send(type="hello", protections=protections.to_dict())
    for request in _parse_requests(lines):
        limit_processor_time(request["seconds"])
        usage.begin()
        try:
            result = STAGES[request["stage"]](Path(request["workspace"]), request["arguments"], writer)
            writer.send(type="done", result=result, usage=usage.measured())
        except Exception as error:  # every error must reach the parent as a message
            writer.send(**_error_reply(error))


class ReplyWriter:
    """Write replies to the parent, one JSON line each; the `Reporter` of every stage."""

    def __init__(self, replies: IO[str]) -> None:
        self._replies = replies
        self._lock = threading.Lock()

    def send(self, **message: object) -> None:
        """Write one reply."""
        line = json.dumps(message)
        with self._lock:
            self._replies.write(line + "\n")
            self._replies.flush()

    def progress(self, done: int, total: int) -> None:
        """Report progress of the stage."""
        self.send(type="progress", done=int(done), total=int(total))

    def output(self, name: str, details: JsonObject | None = None) -> None:
        """Announce a finished file."""
        self.send(type="output", name=name, details=details)


def return_free_memory() -> None:
    """Return freed heap memory to the operating system, which `worker.sandbox.environment.ALLOCATOR` keeps mapped; glibc only."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _take_pipes() -> tuple[IO[str], IO[str]]:
    """Duplicate stdin and stdout for messages; redirect stdin to /dev/null and stdout to stderr, so that libraries cannot interfere."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, replies


def _read_requests(requests: IO[str], lines: queue.SimpleQueue[str]) -> None:
    """Queue request lines; end the process at once when the pipe closes, because the parent is gone and no result is wanted."""
    for line in requests:
        lines.put(line)
    os._exit(0)


def _parse_requests(lines: queue.SimpleQueue[str]) -> Iterator[JsonObject]:
    while True:
        try:
            line = lines.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            return_free_memory()
            line = lines.get()
        yield json.loads(line)


def _error_reply(error: Exception) -> JsonObject:
    from iis_engine.errors import EngineError

    if isinstance(error, MemoryError):  # another attempt would need as much
        message = "The file or the job needs more memory than this machine has; send a smaller one."
        return {"type": "refused", "code": "memory_limit_exceeded", "message": message, "param": None}
    if isinstance(error, EngineError):
        return {"type": "refused", "code": error.code, "message": str(error), "param": error.param}
    traceback.print_exception(error, file=sys.stderr)
    return {"type": "crashed", "message": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main(sys.argv[1:])
