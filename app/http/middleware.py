"""Outermost middleware: request id, body limit, log record and metrics, and a 500 problem for unhandled exceptions."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any

import structlog
from opentelemetry.trace import Span
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.db.ids import new_id
from app.errors import TooLarge
from app.http.body_limits import body_limit_bytes, check_declared_length, limited
from app.http.problems import api_error_response, problem_response
from app.metrics import RequestMetrics
from app.settings import Settings
from app.traces import TRACEPARENT, mark_failed, request_span

REQUEST_ID_HEADER = "X-Request-Id"
ACCEPTED_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,128}")
QUIET_ROUTES = ("/v1/health/live", "/v1/health/ready", "/v1/metrics", "/v2/health/live", "/v2/health/ready")

log = structlog.get_logger(__name__)


class RequestMiddleware:
    """Pure ASGI, so that streams are not buffered."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: RequestMetrics) -> None:
        self.app = app
        self.settings = settings
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if ACCEPTED_REQUEST_ID.fullmatch(given) else new_id("req")
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0
        started = perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                headers.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id), _span(scope, request_id) as span:
            try:
                await self._answer(scope, receive, send_with_id, request_id)
            except ClientDisconnect:
                status = 499
            except Exception:
                log.exception("request_failed", method=scope["method"], path=scope["path"])
                if status:  # the response has started; the connection can only be closed
                    raise
                await problem_response(
                    request_id,
                    500,
                    "internal_error",
                    "Internal error",
                    f"Internal error. Please report request {request_id}; details are in the server's log.",
                )(scope, receive, send_with_id)
            finally:
                self._record(scope, status, perf_counter() - started)
                _describe(span, scope, status)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        limit_bytes = body_limit_bytes(scope["method"], scope["path"], self.settings)
        try:
            check_declared_length(scope, limit_bytes)
        except TooLarge as error:
            await api_error_response(request_id, error)(scope, receive, send)
            return
        await self.app(scope, limited(receive, limit_bytes), send)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route_template(scope)
        self.metrics.observe(scope["method"], route, status, seconds)
        level = log.debug if route in QUIET_ROUTES else log.info
        level("request", method=scope["method"], path=scope["path"], route=route, status=status, milliseconds=round(1000 * seconds, 2))


def _span(scope: Scope, request_id: str) -> AbstractContextManager[Span | None]:
    """Span of a request to the API; none of pages, health and metrics."""
    if not scope["path"].startswith("/v1/") or scope["path"] in QUIET_ROUTES:
        return nullcontext()
    return request_span(scope["method"], request_id, Headers(scope=scope).get(TRACEPARENT))


def _describe(span: Span | None, scope: Scope, status: int) -> None:
    if span is None:
        return
    route = _route_template(scope)
    span.update_name(f"{scope['method']} {route}")
    span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        mark_failed(span, str(status))


def _route_template(scope: Scope) -> str:
    """Path template of the route, so that metrics have one series per route and not one per id."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "unmatched"))
