"""Queue of queries in Redis, which API and workers share: a list for each owner, and a sorted set of the owners that wait for a turn."""

from __future__ import annotations

import time
from typing import Any

TURNS = "iis:query-turns"
"""Owners with queries, by the time since which they wait; each is in it once, however many queries it has."""
PREFIX = "iis:queries:"


def queue_of(owner_id: str) -> str:
    """Key of an owner's list."""
    return PREFIX + owner_id


def add_query(pipeline: Any, owner_id: str, message: str | bytes, expiry_seconds: float, *, first: bool = False) -> None:
    """Append the commands that queue a message; a turn that the owner already waits for stays where it is.

    Parameters
    ----------
    pipeline : of redis or redis.asyncio
    expiry_seconds : time after which the owner's list is deleted unless another query is added
    first : whether the message precedes the owner's others
    """
    key = queue_of(owner_id)
    (pipeline.rpush if first else pipeline.lpush)(key, message)
    pipeline.expire(key, max(1, round(expiry_seconds)))
    pipeline.zadd(TURNS, {owner_id: time.time()}, nx=True)
