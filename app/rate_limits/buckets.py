"""Token buckets in Redis, shared by all API processes. While Redis is unavailable requests pass, and a circuit breaker pauses calls.

A bucket holds up to `burst` tokens and gains `per_second` tokens each second; a request takes one or is refused. Redis provides the
clock, so that the clocks of the processes do not matter.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast
from weakref import WeakKeyDictionary

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript as Script
from redis.exceptions import RedisError

TIMEOUT_SECONDS = 0.5
CIRCUIT_BREAKER_SECONDS = 5.0  # pause of calls after Redis did not answer
KNOWN_KEY_TTL_SECONDS = 24 * 3600  # since its last use
FAILED_KEY_TTL_SECONDS = 600  # repeated failures of one key count once: one wrong key is a mistake, many are guesses
MAX_CONNECTIONS = 16  # more would be opened by a burst, all at once, on the event loop
OWNER_BUCKETS = "iis:rate:owner:"

TAKE = """
local moment = redis.call('TIME')
local now = moment[1] + moment[2] / 1000000
local function held(bucket, burst, rate)
  local found = redis.call('HMGET', bucket, 'tokens', 'at')
  if not found[1] then return burst end
  return math.min(burst, found[1] + math.max(0, now - found[2]) * rate)
end
local function take(bucket, burst, rate)
  if rate <= 0 then return 1, '' end
  local tokens, passes = held(bucket, burst, rate), 0
  if tokens >= 1 then tokens, passes = tokens - 1, 1 end
  redis.call('HSET', bucket, 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
  redis.call('EXPIRE', bucket, math.ceil(burst / rate) + 1)
  return passes, tostring(tokens)
end
"""
# KEYS: owner of the secret, buckets of the address and of its failures. ARGV: 1 if a known secret counts for its owner (an API key does),
# 1 if failures count, burst and rate of each bucket, TTL of a known secret, prefix of owners' buckets. Returns the bucket used, 1 if the
# request passes, tokens left, 1 if the secret is known.
ADMIT = f"""{TAKE}
local number = {{}}
for i = 1, 9 do number[i] = tonumber(ARGV[i]) end
local owner = redis.call('GET', KEYS[1])
local known = owner and 1 or 0
if owner and number[1] == 1 then
  redis.call('EXPIRE', KEYS[1], number[9])
  local passes, tokens = take(ARGV[10] .. owner, number[3], number[4])
  return {{'owner', passes, tokens, known}}
end
if known == 0 and number[2] == 1 and number[8] > 0 then
  local tokens = held(KEYS[3], number[7], number[8])
  if tokens < 1 then return {{'failures', 0, tostring(tokens), known}} end
end
local passes, tokens = take(KEYS[2], number[5], number[6])
return {{'address', passes, tokens, known}}
"""
# KEYS: bucket of the failures of an address, owner of the failed secret, marker of its failure. ARGV: 1 if one was sent, burst and rate of
# failures, TTL of the marker.
FAIL = f"""{TAKE}
if ARGV[1] == '1' then
  redis.call('DEL', KEYS[2])
  if not redis.call('SET', KEYS[3], '1', 'NX', 'EX', ARGV[4]) then return end
end
take(KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3]))
"""

Value = TypeVar("Value")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Limit:
    """Sustained rate `per_second` (0 for no limit) with bursts of up to `burst` requests."""

    per_second: float
    burst: int

    def seconds_until(self, wanted: float, tokens: float) -> int:
        """Seconds, rounded up, until a bucket with `tokens` contains `wanted` tokens."""
        return max(0, math.ceil((wanted - tokens) / self.per_second))


@dataclass(frozen=True)
class Admission:
    """Decision about one request.

    Parameters
    ----------
    bucket : owner for a known key; address for a missing or unknown key; failures if the address has failed too often
    passes : whether the request may run
    tokens : tokens left; None if the bucket has no limit
    known : whether the secret has authenticated within a day
    """

    bucket: Literal["owner", "address", "failures"]
    passes: bool
    tokens: float | None
    known: bool


class _Client:
    """Redis connections and scripts of one event loop."""

    def __init__(self, redis_url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=MAX_CONNECTIONS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            socket_timeout=TIMEOUT_SECONDS,
            driver_info=None,  # redis would look its version up among the installed packages for each connection
            retry=Retry(NoBackoff(), 1),  # a pooled connection may predate a restart of Redis
        )
        self.redis: Redis = Redis.from_pool(cast("Any", pool))
        self.admit: Script = self.redis.register_script(ADMIT)
        self.fail: Script = self.redis.register_script(FAIL)


class Buckets:
    """Rate limits by owner of API keys, address and failed authentication."""

    def __init__(self, redis_url: str, owner: Limit, address: Limit, failures: Limit) -> None:
        self.limits = {"owner": owner, "address": address, "failures": failures}
        self._redis_url = redis_url
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _Client] = WeakKeyDictionary()
        self._open_until: float | None = None  # circuit breaker

    async def admit(self, secret: str | None, address: str, *, is_key: bool, counts_failures: bool) -> Admission | None:
        """Take a token for a request; None if Redis is unavailable.

        Keys that authenticated within a day share the bucket of their owner. Other keys share the bucket of the address, so that invented
        keys create no buckets; so do tokens of share links, but known ones pass when their address has failed too often.

        Parameters
        ----------
        secret : digest of the API key or token sent, if any
        address : client address
        is_key : whether the secret is an API key
        counts_failures : whether to refuse the request if the address has failed too often; False for requests without a key
        """
        names = [_owner_name(secret), f"iis:rate:address:{address}", f"iis:rate:failures:{address}"]
        numbers = [int(is_key), int(counts_failures)]
        numbers += [number for limit in self.limits.values() for number in (limit.burst, limit.per_second)]
        answer = await self._call(lambda client: client.admit(keys=names, args=[*numbers, KNOWN_KEY_TTL_SECONDS, OWNER_BUCKETS]))
        if answer is None:
            return None
        bucket, passes, tokens, known = answer
        return Admission(bucket.decode(), passes == 1, float(tokens) if tokens else None, known == 1)

    async def remember(self, secret: str, owner_id: str) -> None:
        """Note the owner of an authenticated API key or token."""
        await self._call(lambda client: client.redis.set(_owner_name(secret), owner_id, ex=KNOWN_KEY_TTL_SECONDS))

    async def fail(self, secret: str | None, address: str) -> None:
        """Count a failed authentication against an address: one secret once per FAILED_KEY_TTL_SECONDS, the sign-in form each time."""
        names = [f"iis:rate:failures:{address}", _owner_name(secret), f"iis:rate:failed:{secret}"]
        limit = self.limits["failures"]
        numbers = [int(secret is not None), limit.burst, limit.per_second, FAILED_KEY_TTL_SECONDS]
        await self._call(lambda client: client.fail(keys=names, args=numbers))

    async def close(self) -> None:
        """Close the connections of this event loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.redis.aclose()

    async def _call(self, command: Callable[[_Client], Awaitable[Value]]) -> Value | None:
        """Result of a Redis command; None while the circuit breaker is open. After the pause one request tests the connection."""
        now = time.monotonic()
        if self._open_until is not None:
            if now < self._open_until:
                return None
            self._open_until = now + CIRCUIT_BREAKER_SECONDS
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await command(self._client())
        except (RedisError, OSError, TimeoutError) as error:
            self._open_until = now + CIRCUIT_BREAKER_SECONDS
            log.warning("rate_limits_suspended", seconds=CIRCUIT_BREAKER_SECONDS, error=str(error) or type(error).__name__)
            return None
        self._open_until = None
        return answer

    def _client(self) -> _Client:
        loop = asyncio.get_running_loop()  # connections belong to one loop
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = _Client(self._redis_url)
        return client


def _owner_name(secret: str | None) -> str:
    """Name under which Redis has the owner of a known secret."""
    return f"iis:rate:owner_of:{secret}"
