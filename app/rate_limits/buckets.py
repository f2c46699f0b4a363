"""Token buckets in Redis, which all API processes share. While Redis is away everybody passes, and it is left alone for seconds on end.

A bucket holds up to `burst` tokens and gets `per_second` new ones; a request takes one or is refused. The clock is that of Redis, so
that processes need not agree on the time.
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
REST_SECONDS = 5.0  # how long a Redis that did not answer is not asked again
KNOWN_FOR_SECONDS = 24 * 3600  # since a key was last used
FAILED_FOR_SECONDS = 600  # one key that is wrong is a mistake, however often it comes; many are guesses
CONNECTIONS = 64

TAKE = """
local moment = redis.call('TIME')
local now = moment[1] + moment[2] / 1000000
local function held(bucket, burst, rate)
  local found = redis.call('HMGET', bucket, 'tokens', 'at')
  if not found[1] then return burst end
  return math.min(burst, found[1] + math.max(0, now - found[2]) * rate)
end
local function take(bucket, burst, rate, kept)
  if rate <= 0 then return 1, '' end
  local tokens, passes = held(bucket, burst, rate), 0
  if tokens >= 1 then tokens, passes = tokens - 1, 1 end
  redis.call('HSET', bucket, 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
  redis.call('EXPIRE', bucket, math.ceil(math.max(kept, burst / rate)) + 1)
  return passes, tostring(tokens)
end
"""
# KEYS: of the key that is sent, of the address, of its failures. ARGV: whether a key is sent, whether failures count, burst and rate of
# each bucket, how long a key stays known. Gives whose bucket it was, whether the request passes, tokens left.
ADMIT = f"""{TAKE}
local number = {{}}
for place = 1, #ARGV do number[place] = tonumber(ARGV[place]) end
if number[1] == 1 and redis.call('HEXISTS', KEYS[1], 'known') == 1 then
  local passes, tokens = take(KEYS[1], number[3], number[4], number[9])
  return {{'key', passes, tokens}}
end
if number[2] == 1 and number[8] > 0 then
  local tokens = held(KEYS[3], number[7], number[8])
  if tokens < 1 then return {{'failures', 0, tostring(tokens)}} end
end
local passes, tokens = take(KEYS[2], number[5], number[6], 0)
return {{'address', passes, tokens}}
"""
# KEYS: of the failures of an address, of the key that failed, of the memory that it failed. ARGV: whether a key was sent, burst and rate
# of failures, how long one key counts once.
FAIL = f"""{TAKE}
if ARGV[1] == '1' then
  redis.call('HDEL', KEYS[2], 'known')
  if not redis.call('SET', KEYS[3], '1', 'NX', 'EX', ARGV[4]) then return end
end
take(KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3]), 0)
"""

Value = TypeVar("Value")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Limit:
    """How fast something may come: `per_second` in the long run, where 0 is no limit, and `burst` at once."""

    per_second: float
    burst: int

    def seconds_until(self, wanted: float, tokens: float) -> int:
        """Whole seconds until a bucket with `tokens` holds as many as are wanted."""
        return max(0, math.ceil((wanted - tokens) / self.per_second))


@dataclass(frozen=True)
class Admission:
    """What became of a request.

    Parameters
    ----------
    bucket : that of its key, of its address where nobody knows the key, or of the failures of that address, which refuse alone
    tokens : what is left; None where the bucket has no limit
    """

    bucket: Literal["key", "address", "failures"]
    passes: bool
    tokens: float | None


class _Connected:
    """Connections of one event loop, and the scripts that go over them."""

    def __init__(self, redis_url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=CONNECTIONS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            socket_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1),  # a connection may be from before a restart
        )
        self.redis: Redis = Redis.from_pool(cast("Any", pool))
        self.admit: Script = self.redis.register_script(ADMIT)
        self.fail: Script = self.redis.register_script(FAIL)


class Buckets:
    """The buckets in one Redis."""

    def __init__(self, redis_url: str, key: Limit, address: Limit, failures: Limit) -> None:
        self.limits = {"key": key, "address": address, "failures": failures}
        self._redis_url = redis_url
        self._connected: WeakKeyDictionary[asyncio.AbstractEventLoop, _Connected] = WeakKeyDictionary()
        self._resting_until: float | None = None

    async def admit(self, key: str | None, address: str, *, failures_count: bool) -> Admission | None:
        """Take a token for a request; None when Redis does not say.

        A key that has opened something within a day has a bucket of its own. For others, so that made-up keys get no buckets, that of
        the address stands in.

        Parameters
        ----------
        key : digest of the secret that is sent, if one is
        failures_count : whether the request fails if the address has failed too often; not for what needs no key
        """
        names = [f"iis:rate:key:{key}", f"iis:rate:address:{address}", f"iis:rate:failures:{address}"]
        numbers = [int(key is not None), int(failures_count)]
        numbers += [number for limit in self.limits.values() for number in (limit.burst, limit.per_second)]
        answer = await self._asked(lambda here: here.admit(keys=names, args=[*numbers, KNOWN_FOR_SECONDS]))
        if answer is None:
            return None
        bucket, passes, tokens = answer
        return Admission(bucket.decode(), passes == 1, float(tokens) if tokens else None)

    async def know(self, key: str) -> None:
        """Give a key that has opened something a bucket of its own."""

        async def remember(here: _Connected) -> None:
            name = f"iis:rate:key:{key}"
            pipeline = here.redis.pipeline(transaction=False)
            pipeline.hset(name, "known", "1")
            pipeline.expire(name, KNOWN_FOR_SECONDS)
            await pipeline.execute()

        await self._asked(remember)

    async def fail(self, key: str | None, address: str) -> None:
        """Count a key that opened nothing against the address it came from; the same key once in a while, each try by the form."""
        names = [f"iis:rate:failures:{address}", f"iis:rate:key:{key}", f"iis:rate:failed:{key}"]
        limit = self.limits["failures"]
        numbers = [int(key is not None), limit.burst, limit.per_second, FAILED_FOR_SECONDS]
        await self._asked(lambda here: here.fail(keys=names, args=numbers))

    async def close(self) -> None:
        """Close the connections of this event loop."""
        here = self._connected.pop(asyncio.get_running_loop(), None)
        if here is not None:
            await here.redis.aclose()

    async def _asked(self, question: Callable[[_Connected], Awaitable[Value]]) -> Value | None:
        """The answer of Redis, or None; when it rested, one request alone finds out whether it is back."""
        now = time.monotonic()
        if self._resting_until is not None:
            if now < self._resting_until:
                return None
            self._resting_until = now + REST_SECONDS
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await question(self._here())
        except (RedisError, OSError, TimeoutError) as error:
            self._resting_until = now + REST_SECONDS
            log.warning("rate_limits_suspended", seconds=REST_SECONDS, error=str(error) or type(error).__name__)
            return None
        self._resting_until = None
        return answer

    def _here(self) -> _Connected:
        loop = asyncio.get_running_loop()  # connections belong to one
        here = self._connected.get(loop)
        if here is None:
            here = self._connected[loop] = _Connected(self._redis_url)
        return here
