"""The compute process (`python -m worker.child`): takes stage requests as JSON lines, answers with JSON lines, holds no credentials.

It imports no part of the service. Standard input's end, or the parent's death, ends it. What a stage does lives in `worker.stages`.

Requests:  {"stage", "workspace", "arguments", "seconds"}, one at a time
Answers:   {"type": "hello", "held"}, then for each request any number of {"type": "progress", "done", "total"} and
           {"type": "output", "name", "about"} (a file that is complete, and what is known of it), and at last {"type": "done", "result"},
           {"type": "refused", "code", "message", "param"} (the input's fault) or {"type": "crashed", "message"} (ours).
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from worker.sandbox.confinement import Grant, confine, limit_processor_time


def main(arguments: list[str]) -> None:
    """Serve requests until the parent closes our input.

    Parameters
    ----------
    arguments : the parent's process id, and what this process keeps, a Grant as JSON
    """
    import_module("iis_engine")  # found now: later the folder that it lies in cannot be listed any more
    held = confine(int(arguments[0]), Grant(**json.loads(arguments[1])))
    requests, answers = _claim_pipes()
    inbox: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_watch, args=(requests, inbox), name="parent-watch", daemon=True).start()
    from worker.child.registry import STAGES, prepare

    prepare()
    speak = ReplyWriter(answers)
    speak(type="hello", held=held.to_dict())
    for request in _requests(inbox):
        limit_processor_time(request["seconds"])
        try:
            result = STAGES[request["stage"]](Path(request["workspace"]), request["arguments"], speak)
            speak(type="done", result=result)
        except Exception as error:  # the boundary: every fault must reach the parent as a message
            speak(**_fault(error))


class ReplyWriter:
    """Writes answers; also the `Reporter` that stages are given."""

    def __init__(self, answers: IO[str]) -> None:
        self._answers = answers
        self._lock = threading.Lock()

    def __call__(self, **message: Any) -> None:
        line = json.dumps(message)
        with self._lock:
            self._answers.write(line + "\n")
            self._answers.flush()

    def progress(self, done: int, total: int) -> None:
        self(type="progress", done=int(done), total=int(total))

    def output(self, name: str, about: dict[str, Any] | None = None) -> None:
        self(type="output", name=name, about=about)


def _claim_pipes() -> tuple[IO[str], IO[str]]:
    """Keep the pipes for ourselves: libraries that print reach standard error, libraries that read get nothing."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


def _watch(requests: IO[str], inbox: queue.SimpleQueue[str]) -> None:
    for line in requests:
        inbox.put(line)
    os._exit(0)  # the parent is gone; whatever is being computed is void


def _requests(inbox: queue.SimpleQueue[str]) -> Iterator[dict[str, Any]]:
    while True:
        yield json.loads(inbox.get())


def _fault(error: Exception) -> dict[str, Any]:
    from iis_engine.errors import EngineError

    if isinstance(error, MemoryError):  # another attempt would ask for as much
        message = "The file or the job asks for more memory than this machine has; send a smaller one."
        return {"type": "refused", "code": "memory_limit_exceeded", "message": message, "param": None}
    if isinstance(error, EngineError):
        return {"type": "refused", "code": error.code, "message": str(error), "param": error.param}
    traceback.print_exception(error, file=sys.stderr)
    return {"type": "crashed", "message": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main(sys.argv[1:])
