"""What a compute process says, as the parent hears it: bounded, and in words that a database takes."""

from __future__ import annotations

import json
import queue
import re
from typing import IO, Any, cast

import structlog

ERROR_LINES_KEPT = 40
ERROR_CHARACTERS = 4096
ANSWER_CHARACTERS = 256 * 1024**2
ANSWERS_WAITING = 64

Answers = queue.Queue[dict[str, Any] | None]

log = structlog.get_logger(__name__)


def new_answers() -> Answers:
    """An empty queue; None in it is the end."""
    return Answers(ANSWERS_WAITING)


def pump_answers(pipe: IO[str], answers: Answers, _: list[str]) -> None:
    """Pass answers on, each bounded and few at a time: a hostile process must not fill our memory with what it says."""
    try:
        while line := pipe.readline(ANSWER_CHARACTERS):
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


def pump_errors(pipe: IO[str], _: Answers, last_words: list[str]) -> None:
    while line := pipe.readline(ERROR_CHARACTERS):
        last_words.append(line)
        del last_words[:-ERROR_LINES_KEPT]
