"""The body of every error: a problem of RFC 9457."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

PROBLEM_MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "https://iis.dev/problems/"


class FieldError(BaseModel):
    """A fault in one field."""

    param: str
    message: str
    code: str


class Problem(BaseModel):
    """Why a request was refused."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": TYPE_PREFIX + "not_found",
                    "title": "Not found",
                    "status": 404,
                    "detail": "There is no job job_01k9zzzzzzzzzzzzzzzzzzzzzz.",
                    "code": "not_found",
                    "request_id": "req_01k9zzzzzzzzzzzzzzzzzzzzzz",
                    "errors": [],
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError]
