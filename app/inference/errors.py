"""Refusals under /v2 in the form of the protocol, {"error": …}, whichever part of the service refuses."""

from __future__ import annotations

import json

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from iis_schemas.inference import InferenceError
from iis_schemas.problems import PROBLEM_MEDIA_TYPE

PREFIX = "/v2"
BAD_REQUEST = 400
INVALID_INPUT = 422
REPLACED_HEADERS = frozenset((b"content-type", b"content-length"))


def is_inference(path: str) -> bool:
    """Whether a path is one of the protocol."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


class InferenceErrorMiddleware:
    """Pure ASGI. Rewrites problem responses; an invalid request has the status 400, which the protocol calls typical."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_inference(scope["path"]):
            await self.app(scope, receive, send)
            return
        problem: Message | None = None
        body = b""

        async def send_in_form(message: Message) -> None:
            nonlocal problem, body
            if message["type"] == "http.response.start" and _is_problem(message):
                problem = message
                return
            if problem is None:
                await send(message)
                return
            body += message.get("body", b"")
            if not message.get("more_body", False):
                await _as_inference_error(problem, body)(scope, receive, send)

        await self.app(scope, receive, send_in_form)


def _is_problem(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith(PROBLEM_MEDIA_TYPE)


def _as_inference_error(start: Message, body: bytes) -> JSONResponse:
    detail = json.loads(body)["detail"] if body else ""  # HEAD has no body
    status = BAD_REQUEST if start["status"] == INVALID_INPUT else start["status"]
    response = JSONResponse(InferenceError(error=detail).model_dump(), status)
    response.raw_headers += [(name, value) for name, value in start["headers"] if name.lower() not in REPLACED_HEADERS]
    return response
