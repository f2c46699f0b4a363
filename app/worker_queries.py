"""Queries that a worker runs during an HTTP request, sent and answered over Redis. Nothing is stored: the caller repeats a lost query.

A query is a JSON object (`app.query_queue`); its reply arrives on a list of its own, which expires. Jobs do not use this path.
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
from app.query_queue import add_query
from app.settings import Settings

REPLY_PREFIX = "iis:reply:"
REPLY_EXPIRY_SECONDS = 60
RETRY_AFTER_SECONDS = 2
SOCKET_MARGIN_SECONDS = 5

NOT_FOUND_CODES = frozenset({"image_absent", "concept_absent", "class_absent", "study_absent", "figure_absent"})
"""Codes that become 404: the URL names something that does not exist."""
CONFLICT_CODES = frozenset({"artifact_gone", "dataset_gone", "model_gone", "no_images"})
"""Codes that become 409: the job has no such data, or no longer."""

log = structlog.get_logger(__name__)


async def query_worker(settings: Settings, owner_id: str, kind: str, about: dict[str, Any]) -> dict[str, Any]:
    """Send a query to any free worker and wait for its reply.

    Parameters
    ----------
    kind : as in `worker.queries.context.Query`
    about : the fields of the kind, as JSON values

    Raises
    ------
    InvalidInput, NotFound, Conflict
        When the worker refuses the query.
    Unavailable
        When Redis is unavailable, or no worker replies within `answer_timeout_seconds`.
    """
    query_id = secrets.token_hex(16)
    timeout_seconds = settings.answer_timeout_seconds
    query = {"id": query_id, "owner": owner_id, "kind": kind, "about": about, "expires_at": time.time() + timeout_seconds}
    try:
        async with redis.asyncio.Redis.from_url(
            settings.redis_url, socket_connect_timeout=SOCKET_MARGIN_SECONDS, socket_timeout=timeout_seconds + SOCKET_MARGIN_SECONDS
        ) as broker:
            async with broker.pipeline() as pipeline:
                add_query(pipeline, owner_id, json.dumps(query), timeout_seconds)
                await pipeline.execute()
            received = await cast("Any", broker.blpop([REPLY_PREFIX + query_id], timeout=timeout_seconds))
    except RedisError as error:
        log.warning("broker_unreachable", error=str(error))
        raise Unavailable("The workers cannot be reached; try again shortly.", code="broker_unavailable") from error
    if received is None:
        raise Unavailable(
            f"No worker answered within {timeout_seconds:g} seconds: all are busy, or the answer takes longer. Try again.",
            code="worker_busy",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    reply = cast("dict[str, Any]", json.loads(received[1]))
    if "refused" in reply:
        raise _refusal(reply["refused"])
    return cast("dict[str, Any]", reply["result"])


def _refusal(refused: dict[str, Any]) -> ApiError:
    code, message, param = refused["code"], refused["message"], refused["param"]
    if code == "worker_failed":
        return Unavailable(message, code=code, retry_after_seconds=RETRY_AFTER_SECONDS)
    if code in NOT_FOUND_CODES:
        return NotFound(message, code=code)
    kind = Conflict if code in CONFLICT_CODES else InvalidInput
    return kind(message, code=code, param=param)
