"""Read the compute process's stdout and stderr; bound the size of messages and replace characters that PostgreSQL cannot store."""

from __future__ import annotations

import json
import queue
import re
import time
from typing import IO, cast

import structlog

from worker.sandbox.messages import JsonObject

STDERR_LINES_KEPT = 40
STDERR_LINE_CHARACTERS = 4096
REPLY_CHARACTERS = 64 * 1024**2
REPLY_VALUES = 4 * 1024**2  # of its JSON; each takes up to some hundred bytes of memory
SHORT_REPLY_CHARACTERS = 64 * 1024
REPLIES_QUEUED = 64
ROOM_SECONDS = 0.01  # between two looks at the queue

ReplyQueue = queue.Queue[JsonObject | None]

log = structlog.get_logger(__name__)


def new_reply_queue() -> ReplyQueue:
    """An empty bounded queue of replies; None marks their end."""
    return ReplyQueue(REPLIES_QUEUED)


def read_replies(stdout: IO[str], replies: ReplyQueue) -> None:
    """Queue replies until stdout ends or a line is not a JSON object.

    A malicious process cannot fill the worker's memory: lines, their values and the queue are bounded, and a long line waits until the
    queue is empty.
    """
    try:
        while line := stdout.readline(REPLY_CHARACTERS):
            while len(line) > SHORT_REPLY_CHARACTERS and not replies.empty():
                time.sleep(ROOM_SECONDS)
            replies.put(_parse(line))
    except (ValueError, RecursionError, MemoryError):
        log.warning("compute_reply_malformed")
    replies.put(None)


def _parse(line: str) -> JsonObject:
    if line.count(",") + line.count("[") + line.count("{") > REPLY_VALUES:
        raise ValueError("too many values")
    reply = cast("JsonObject", _storable(json.loads(line)))
    kind = reply.get("type") if isinstance(reply, dict) else None  # pyright: ignore[reportUnnecessaryIsInstance] (it may be anything)
    if not isinstance(kind, str) or (len(line) > SHORT_REPLY_CHARACTERS and kind != "done"):
        raise ValueError("not an object with a type, or too long for it")
    return reply


def read_stderr(stderr: IO[str], lines: list[str]) -> None:
    """Keep the last lines of stderr, for the log entry about a process that ended unexpectedly."""
    while line := stderr.readline(STDERR_LINE_CHARACTERS):
        lines.append(line)
        del lines[:-STDERR_LINES_KEPT]


def _storable(value: object) -> object:
    """Replace NUL and lone surrogates, which PostgreSQL's text and JSON types reject, by U+FFFD."""
    if isinstance(value, str):
        return re.sub("[\0\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, list):
        return [_storable(part) for part in cast("list[object]", value)]
    if isinstance(value, dict):
        return {_storable(name): _storable(part) for name, part in cast("dict[object, object]", value).items()}
    return value
