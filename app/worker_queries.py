"""Queries that a worker answers within the request, over Redis. They are not stored: a lost one is sent again by the client.

A query is a JSON object on the list `QUESTIONS`; its answer arrives on a separate list, which expires. Jobs use other ways.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import Any, cast

import redis.asyncio
import structlog
from redis.exceptions import RedisError

from app.errors import ApiError, Conflict, InvalidInput, NotFound, Unavailable
from app.settings import Settings

QUESTIONS = "iis:questions"
ANSWER_PREFIX = "iis:answer:"
ANSWER_EXPIRY_SECONDS = 60
RETRY_AFTER_SECONDS = 2
SOCKET_MARGIN_SECONDS = 5

ABSENT = frozenset({"image_absent", "concept_absent", "class_absent", "study_absent", "figure_absent"})
"""Codes that mean 404: the address names something that does not exist."""
GONE = frozenset({"artifact_gone", "dataset_gone", "model_gone", "no_images"})
"""Codes that mean 409: the job has nothing to answer from."""

log = structlog.get_logger(__name__)


async def query_worker(settings: Settings, owner_id: str, kind: str, about: dict[str, Any]) -> dict[str, Any]:
    """Send a query to the workers and wait for the answer of the first that is free.

    Parameters
    ----------
    kind : of `worker.queries.context`
    about : arguments of that kind, JSON-ready

    Raises
    ------
    InvalidInput, NotFound, Conflict
        The error that the worker answers with.
    Unavailable
        When Redis cannot be reached, or no worker answers within `answer_timeout_seconds`.
    """
    number = secrets.token_hex(16)
    expires_at = time.time() + settings.answer_timeout_seconds
    query = json.dumps({"id": number, "owner": owner_id, "kind": kind, "about": about, "expires_at": expires_at})
    timeout_seconds = settings.answer_timeout_seconds
    try:
        async with redis.asyncio.Redis.from_url(
            settings.redis_url, socket_connect_timeout=SOCKET_MARGIN_SECONDS, socket_timeout=timeout_seconds + SOCKET_MARGIN_SECONDS
        ) as broker:
            await cast("Any", broker.lpush(QUESTIONS, query))
            found = await cast("Any", broker.blpop([ANSWER_PREFIX + number], timeout=timeout_seconds))
    except RedisError as error:
        log.warning("broker_unreachable", error=str(error))
        raise Unavailable("The workers cannot be reached; try again shortly.", code="broker_unavailable") from error
    if found is None:
        raise Unavailable(
            f"No worker answered within {timeout_seconds:g} seconds; it may still be loading the model. Try again.",
            code="worker_busy",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    answer = cast("dict[str, Any]", json.loads(found[1]))
    if "refused" in answer:
        raise _refusal(answer["refused"])
    return cast("dict[str, Any]", answer["result"])


def _refusal(refused: dict[str, Any]) -> ApiError:
    code, message, param = refused["code"], refused["message"], refused["param"]
    if code == "worker_failed":
        return Unavailable(message, code=code, retry_after_seconds=RETRY_AFTER_SECONDS)
    if code in ABSENT:
        return NotFound(message, code=code)
    kind = Conflict if code in GONE else InvalidInput
    return kind(message, code=code, param=param)
