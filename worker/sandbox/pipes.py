"""Read the compute process's stdout and stderr; bound the size of messages and replace characters that PostgreSQL cannot store."""

from __future__ import annotations

import json
import queue
import re
from typing import IO, cast

import structlog

from worker.sandbox.messages import JsonObject

STDERR_LINES_KEPT = 40
STDERR_LINE_CHARACTERS = 4096
REPLY_CHARACTERS = 256 * 1024**2
REPLIES_QUEUED = 64

ReplyQueue = queue.Queue[JsonObject | None]

log = structlog.get_logger(__name__)


def new_reply_queue() -> ReplyQueue:
    """An empty bounded queue of replies; None marks their end."""
    return ReplyQueue(REPLIES_QUEUED)


def read_replies(stdout: IO[str], replies: ReplyQueue) -> None:
    """Queue replies until stdout ends or a line is not JSON.

    Both the length of a line and of the queue are bounded, so that a malicious process cannot fill the worker's memory.
    """
    try:
        while line := stdout.readline(REPLY_CHARACTERS):
            replies.put(cast("JsonObject", _storable(json.loads(line))))
    except ValueError:
        log.warning("compute_reply_malformed")
    replies.put(None)


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
