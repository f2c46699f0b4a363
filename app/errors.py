"""Exceptions for refused requests. Imports no web framework, so the worker can use them; app.http.problems builds the responses.

ApiError
├── Unauthorized     401
├── Forbidden        403  the key lacks a scope, or another site's page sent the request
├── NotFound         404  also for rows of another owner
├── RequestTimeout   408  the body arrives too slowly
├── Conflict         409
├── TooLarge         413
├── InvalidInput     422
├── TooManyRequests  429  with Retry-After
│   └── QuotaExceeded     over the owner's quota
└── Unavailable      503  over capacity, or database, broker or storage cannot be reached; with Retry-After
"""

from __future__ import annotations


class ApiError(Exception):
    """Base of all refusals.

    Parameters
    ----------
    detail : the sentence for the person who sent the request
    code : stable machine-readable name; defaults to the class's code
    param : dotted name of the invalid field
    retry_after_seconds : time after which a retry may succeed
    """

    status = 500
    code = "internal_error"
    title = "Internal error"

    def __init__(self, detail: str, *, code: str | None = None, param: str | None = None, retry_after_seconds: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.param = param
        self.retry_after_seconds = retry_after_seconds


class Unauthorized(ApiError):
    status = 401
    code = "unauthorized"
    title = "Missing or invalid API key"


class Forbidden(ApiError):
    status = 403
    code = "forbidden"
    title = "Request not allowed"


class NotFound(ApiError):
    status = 404
    code = "not_found"
    title = "Not found"


class RequestTimeout(ApiError):
    status = 408
    code = "request_timeout"
    title = "Request too slow"


class Conflict(ApiError):
    status = 409
    code = "conflict"
    title = "Conflict with the state of the resource"


class TooLarge(ApiError):
    status = 413
    code = "too_large"
    title = "Content too large"


class InvalidInput(ApiError):
    status = 422
    code = "invalid_input"
    title = "Invalid request"


class TooManyRequests(ApiError):
    status = 429
    code = "rate_limited"
    title = "Rate limit or quota exceeded"


class QuotaExceeded(TooManyRequests):
    code = "quota_exceeded"
    title = "Quota exceeded"


class Unavailable(ApiError):
    status = 503
    code = "unavailable"
    title = "Temporarily unavailable"

    def __init__(self, detail: str, *, code: str | None = None, param: str | None = None, retry_after_seconds: int = 5) -> None:
        super().__init__(detail, code=code, param=param, retry_after_seconds=retry_after_seconds)
