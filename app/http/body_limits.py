"""Maximum request body size by route, enforced before and while the body is read."""

from __future__ import annotations

import re

from starlette.types import Message, Receive, Scope

from app.errors import TooLarge
from app.settings import KIB, Settings

PART_PATH = re.compile(r"/v1/uploads/[^/]+/parts/[^/]+/?")
PHRASES_PATH = re.compile(r"/v1/concept-sets(/[^/]+/versions)?/?")
SMALL_UPLOAD_PATH = re.compile(r"/v1/uploads/small/?")
EXPLANATIONS_PATH = re.compile(r"/v1/jobs/[^/]+/explanations/?")
PREDICT_PATH = re.compile(r"/v1/predictors/[^/]+/predict/?")
INFER_PATH = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/infer/?")
IMAGE_PATHS = (EXPLANATIONS_PATH, PREDICT_PATH, INFER_PATH)
FORM_MAX_BYTES = 8 * KIB  # of the page's forms, which need no key
FORM_OVERHEAD_BYTES = 64 * KIB  # boundaries and field headers around a small upload's file


def body_limit_bytes(method: str, path: str, settings: Settings) -> int:
    """Maximum size of this request's body."""
    if method == "PUT" and PART_PATH.fullmatch(path):
        return settings.upload_part_max_bytes
    if method == "POST" and SMALL_UPLOAD_PATH.fullmatch(path):
        return settings.small_upload_max_bytes + FORM_OVERHEAD_BYTES
    if method == "POST" and PHRASES_PATH.fullmatch(path):
        return settings.concept_set_max_bytes
    if method == "POST" and any(pattern.fullmatch(path) for pattern in IMAGE_PATHS):
        return settings.posted_image_max_bytes + FORM_OVERHEAD_BYTES
    return settings.request_body_max_bytes if path.startswith("/v1/") else FORM_MAX_BYTES


def check_declared_length(scope: Scope, limit_bytes: int) -> None:
    """Check Content-Length before the body is read.

    Raises
    ------
    TooLarge
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit_bytes:
            raise _too_large(limit_bytes)


def limited(receive: Receive, limit_bytes: int) -> Receive:
    """Wrap `receive` to raise TooLarge once more than `limit_bytes` were received; for bodies without Content-Length."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > limit_bytes:
                raise _too_large(limit_bytes)
        return message

    return counted


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"The request body exceeds the limit of {limit_bytes} bytes.")
