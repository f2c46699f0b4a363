"""The service's refusals as exceptions. No HTTP framework here, so the worker may import it; app.http.problems turns them into responses.

ApiError
├── Unauthorized     401
├── Forbidden        403  the key may not do this, or the request comes from another site's page
├── NotFound         404  also for what belongs to another owner
├── Conflict         409
├── TooLarge         413
├── InvalidInput     422
├── TooManyRequests  429  says when to try again
│   └── QuotaExceeded     more than the owner may have at once, or in a day
└── Unavailable      503  database or storage cannot be reached; says when to try again
"""

from __future__ import annotations


class ApiError(Exception):
    """Base of every refusal.

    Parameters
    ----------
    detail : the sentence for the person who sent the request
    code : stable name for machines; the class's own unless given
    param : dotted name of the field at fault
    retry_after_seconds : when a later try may succeed
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
    title = "A valid API key is needed"


class Forbidden(ApiError):
    status = 403
    code = "forbidden"
    title = "This request is not allowed"


class NotFound(ApiError):
    status = 404
    code = "not_found"
    title = "Not found"


class Conflict(ApiError):
    status = 409
    code = "conflict"
    title = "The resource's present state does not allow this"


class TooLarge(ApiError):
    status = 413
    code = "too_large"
    title = "Too many bytes"


class InvalidInput(ApiError):
    status = 422
    code = "invalid_input"
    title = "The request cannot be understood"


class TooManyRequests(ApiError):
    status = 429
    code = "rate_limited"
    title = "Too many requests, or more than a quota allows"


class QuotaExceeded(TooManyRequests):
    code = "quota_exceeded"
    title = "A quota is used up"


class Unavailable(ApiError):
    status = 503
    code = "unavailable"
    title = "Temporarily unavailable"

    def __init__(self, detail: str, *, code: str | None = None, param: str | None = None, retry_after_seconds: int = 5) -> None:
        super().__init__(detail, code=code, param=param, retry_after_seconds=retry_after_seconds)
