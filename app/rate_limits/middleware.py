"""Before every request but those for health: is it too fast? And after it: did its key open anything? The counting is in buckets."""

from __future__ import annotations

import math
from ipaddress import IPv6Address, ip_address
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import TooManyRequests
from app.http.auth import digest_of, secret_in
from app.http.middleware import QUIET_ROUTES
from app.http.page_cookie import KEY_COOKIE
from app.http.problems import api_error_response
from app.rate_limits.buckets import Admission, Buckets

SIGN_IN_PATH = "/sign-in"
UNAUTHORIZED = 401
OWN_NETWORK_BITS = 64  # of an IPv6 address; whoever has one has the whole network


class RateLimitMiddleware:
    """Pure ASGI, so that streams pass through untouched; one counts once, however long it lasts."""

    def __init__(self, app: ASGIApp, buckets: Buckets, api_key_secret: str) -> None:
        self.app = app
        self.buckets = buckets
        self.api_key_secret = api_key_secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in QUIET_ROUTES:
            await self.app(scope, receive, send)
            return
        key, address = self._key(scope), _address(scope)
        tries_key = key is not None or (scope["method"] == "POST" and scope["path"] == SIGN_IN_PATH)
        verdict = await self.buckets.admit(key, address, failures_count=tries_key)

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                if verdict is not None:
                    MutableHeaders(scope=message).update(self._fields(verdict))
                if tries_key and message["status"] == UNAUTHORIZED:
                    await self.buckets.fail(key, address)
                elif key is not None and _has_opened(scope) and (verdict is None or verdict.bucket != "key"):
                    await self.buckets.know(key)
            await send(message)

        if verdict is not None and not verdict.passes:
            await api_error_response(scope["state"]["request_id"], self._refusal(verdict))(scope, receive, send_told)
            return
        await self.app(scope, receive, send_told)

    def _key(self, scope: Scope) -> str | None:
        """The digest of the secret that a request carries, in its header or else in the page's cookie."""
        request = Request(scope)
        given, cookie = request.headers.get("authorization"), request.cookies.get(KEY_COOKIE)
        secret = secret_in(f"Bearer {cookie}" if given is None and cookie is not None else given)
        return None if secret is None else digest_of(secret, self.api_key_secret)

    def _fields(self, verdict: Admission) -> dict[str, str]:
        """RateLimit and RateLimit-Policy. https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/"""
        limit = self.buckets.limits[verdict.bucket]
        if verdict.tokens is None:
            return {}
        left, full_in = math.floor(verdict.tokens), limit.seconds_until(limit.burst, verdict.tokens)
        policy = f'"{verdict.bucket}";q={limit.burst};w={limit.seconds_until(limit.burst, 0)}'
        return {"RateLimit-Policy": policy, "RateLimit": f'"{verdict.bucket}";r={left};t={full_in}'}

    def _refusal(self, verdict: Admission) -> TooManyRequests:
        limit = self.buckets.limits[verdict.bucket]
        seconds = max(1, limit.seconds_until(1, verdict.tokens or 0))
        allowed = f"{limit.burst} requests at once and {limit.per_second:g} a second in the long run"
        sentences = {
            "key": f"Too many requests with this API key, which may send {allowed}; wait {seconds} s.",
            "address": f"Too many requests without a known API key from your address, which may send {allowed}; wait {seconds} s.",
            "failures": f"Too many API keys that open nothing came from your address; look at the key you send, and wait {seconds} s.",
        }
        return TooManyRequests(sentences[verdict.bucket], retry_after_seconds=seconds)


def _has_opened(scope: Scope) -> bool:
    """Whether app.http.auth has found an owner by the request's key."""
    state: dict[str, Any] = scope.get("state", {})
    return "authenticated" in state


def _address(scope: Scope) -> str:
    """Where a request comes from; the server has put a trusted proxy's word for it there already."""
    client = scope.get("client")
    if client is None:
        return "here"
    try:
        address = ip_address(client[0])
    except ValueError:
        return str(client[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{int(address) >> OWN_NETWORK_BITS:x}"
    return str(address)
