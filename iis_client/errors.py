"""Exceptions of the client. This module sends nothing.

IISError                      base class; its text is one sentence that can be shown to a user
├── ConfigurationError        no address, no key, or invalid arguments; nothing was sent
├── LocalFileError            a file or folder on this machine cannot be sent
├── ServiceUnreachableError   no answer, after every retry
├── ServiceError              the service refused the request: status, code, detail, request_id, errors
│   ├── UnauthorizedError     401  the key is missing, unknown, revoked or expired
│   ├── ForbiddenError        403  the key lacks a scope
│   ├── NotFoundError         404  the resource does not exist, or belongs to another owner
│   ├── ConflictError         409  the resource's present state does not allow it
│   ├── TooLargeError         413  too many bytes
│   ├── InvalidInputError     422  the request is not valid
│   ├── TooManyRequestsError  429  rate limit still exceeded after every retry, or a quota is used up (code quota_exceeded)
│   └── UnavailableError      503  database, storage or service unavailable after every retry
├── UnexpectedAnswerError     an answer does not match this version of the client
├── CheckFailedError          a worker rejected a model, data set or concept set: resource, code, param
├── JobFailedError            a job ended without a result: job, code
│   └── JobCanceledError      the job was canceled
└── WaitTimeoutError          the resource was not finished within the timeout
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import httpx

    from iis_schemas.jobs.views import JobView

Job = TypeVar("Job", bound="JobView")


class IISError(Exception):
    """Base class of the client's exceptions; `str(error)` is a sentence that can be shown to a user."""


class ConfigurationError(IISError):
    """The address or key is missing, or arguments are invalid or contradict each other. Nothing was sent."""


class LocalFileError(IISError):
    """A file or folder on this machine cannot be sent."""


class ServiceUnreachableError(IISError):
    """No service answers at the address."""


@dataclass(frozen=True)
class FieldError:
    """The error of one field of a request."""

    param: str
    message: str
    code: str


class ServiceError(IISError):
    """A problem+json response (RFC 9457).

    Parameters
    ----------
    status : of the HTTP response
    code : stable name for programs
    detail : one sentence for people
    request_id : to quote in a report to the operators of the service
    errors : one per invalid field
    retry_after_seconds : the response's Retry-After, if it has one
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        request_id: str,
        errors: tuple[FieldError, ...] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.errors = errors
        self.retry_after_seconds = retry_after_seconds


class UnauthorizedError(ServiceError):
    """401: the key is missing, unknown, revoked or expired."""


class ForbiddenError(ServiceError):
    """403: the key lacks a scope."""


class NotFoundError(ServiceError):
    """404: the resource does not exist, or belongs to another owner."""


class ConflictError(ServiceError):
    """409: the resource's present state does not allow it."""


class TooLargeError(ServiceError):
    """413: too many bytes."""


class InvalidInputError(ServiceError):
    """422: the request is not valid."""


class TooManyRequestsError(ServiceError):
    """429: rate limit exceeded, or a quota used up."""


class UnavailableError(ServiceError):
    """503: database, storage or service unavailable."""


class UnexpectedAnswerError(IISError):
    """An answer of the service does not match this version of the client."""


class CheckFailedError(IISError):
    """A worker rejected a model, a data set or a version of a concept set."""

    def __init__(self, resource: str, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.resource = resource
        self.code = code
        self.param = param


class JobFailedError(IISError):
    """A job ended without a result."""

    def __init__(self, job: str, code: str, message: str) -> None:
        super().__init__(message)
        self.job = job
        self.code = code


class JobCanceledError(JobFailedError):
    """A job was canceled before it had a result."""


class WaitTimeoutError(IISError):
    """The resource was not finished within the timeout; the service continues to work on it."""


BY_STATUS: dict[int, type[ServiceError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    413: TooLargeError,
    422: InvalidInputError,
    429: TooManyRequestsError,
    503: UnavailableError,
}


def service_error(response: httpx.Response) -> ServiceError:
    """Build the exception for a response other than 2xx; a body other than problem+json (a proxy's page) still gives a sentence."""
    error_class = BY_STATUS.get(response.status_code, ServiceError)
    retry_after = response.headers.get("Retry-After", "")
    retry_after_seconds = int(retry_after) if retry_after.isdecimal() else None
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "detail" not in body:
        request = response.request
        sentence = f"The service answered {response.status_code} {response.reason_phrase} to {request.method} {request.url.path}."
        request_id = response.headers.get("X-Request-ID", "")
        return error_class(response.status_code, "no_problem_body", sentence, request_id, retry_after_seconds=retry_after_seconds)
    errors = tuple(FieldError(str(field["param"]), str(field["message"]), str(field["code"])) for field in body.get("errors") or [])
    code, request_id = str(body.get("code", "")), str(body.get("request_id", ""))
    return error_class(response.status_code, code, str(body["detail"]), request_id, errors, retry_after_seconds)


def require_success(job: Job) -> Job:
    """Return a job that succeeded; raise for one that failed or was canceled.

    Raises
    ------
    JobFailedError, JobCanceledError
    """
    if job.state == "canceled":
        raise JobCanceledError(job.id, "canceled", f"Job {job.id} was canceled.")
    if job.state == "failed":
        message = job.error.message if job.error is not None else "no reason was recorded."
        raise JobFailedError(job.id, job.error.code if job.error is not None else "unknown", f"Job {job.id} failed: {message}")
    return job
