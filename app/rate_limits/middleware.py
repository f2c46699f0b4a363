"""Rate-limit middleware: admit each request before it runs and record failed or successful authentication after it.

Health and metrics routes are exempt. app.rate_limits.buckets counts.
"""

from __future__ import annotations

import math
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import TooManyRequests
from app.http.admission.clients import Client
from app.http.middleware import QUIET_ROUTES
from app.http.problems import api_error_response
from app.rate_limits.buckets import Admission, Buckets

SIGN_IN_PATH = "/sign-in"
UNAUTHORIZED = 401


class RateLimitMiddleware:
    """Pure ASGI, so that streams are not buffered; a stream counts as one request."""

    def __init__(self, app: ASGIApp, buckets: Buckets) -> None:
        self.app = app
        self.buckets = buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in QUIET_ROUTES:
            await self.app(scope, receive, send)
            return
        client: Client = scope["state"]["client"]
        key, token, address = client.key_digest, client.token_digest, client.address
        secret = key or token
        authenticates = secret is not None or (scope["method"] == "POST" and scope["path"] == SIGN_IN_PATH)
        admission = await self.buckets.admit(secret, address, is_key=key is not None, counts_failures=authenticates)

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                if admission is not None:
                    MutableHeaders(scope=message).update(self._headers(admission))
                if authenticates and message["status"] == UNAUTHORIZED:
                    await self.buckets.fail(secret, address)
                elif secret is not None and (owner_id := _owner_of(scope)) and (admission is None or not admission.known):
                    await self.buckets.remember(secret, owner_id)
            await send(message)

        if admission is not None and not admission.passes:
            await api_error_response(scope["state"]["request_id"], self._refusal(admission))(scope, receive, send_with_limits)
            return
        await self.app(scope, receive, send_with_limits)

    def _headers(self, admission: Admission) -> dict[str, str]:
        """RateLimit and RateLimit-Policy, as in https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/.

        Own implementation because the fields must match the decision of our Redis script over three buckets
        (docs/decisions/0005-own-implementations.md).
        """
        limit = self.buckets.limits[admission.bucket]
        if admission.tokens is None:
            return {}
        left, full_in = math.floor(admission.tokens), limit.seconds_until(limit.burst, admission.tokens)
        policy = f'"{admission.bucket}";q={limit.burst};w={limit.seconds_until(limit.burst, 0)}'
        return {"RateLimit-Policy": policy, "RateLimit": f'"{admission.bucket}";r={left};t={full_in}'}

    def _refusal(self, admission: Admission) -> TooManyRequests:
        limit = self.buckets.limits[admission.bucket]
        seconds = max(1, limit.seconds_until(1, admission.tokens or 0))
        allowed = f"{limit.per_second:g} requests per second with bursts of {limit.burst}"
        details = {
            "owner": f"Too many requests with your API keys together; the limit is {allowed}. Retry in {seconds} s.",
            "address": f"Too many requests without a known API key from your address; the limit is {allowed}. Retry in {seconds} s.",
            "failures": f"Too many invalid API keys from your address; check the key you send and retry in {seconds} s.",
        }
        return TooManyRequests(details[admission.bucket], retry_after_seconds=seconds)


def _owner_of(scope: Scope) -> str | None:
    """Owner that app.http.auth has found, None if it authenticated nothing."""
    state: dict[str, Any] = scope.get("state", {})
    return state.get("authenticated_owner_id")
