"""Everything the client raises. Nothing here talks to the network.

IISError                      whatever goes wrong; its text is one sentence for a person
├── ConfigurationError        no address, no key, or arguments that contradict each other
├── LocalFileError            a file or folder on this machine that cannot be sent
├── ServiceUnreachableError   no answer, after every retry
├── ServiceError              the service refused: status, code, detail, request_id, errors
│   ├── UnauthorizedError     401  the key is missing, unknown, revoked or expired
│   ├── ForbiddenError        403  the key lacks a scope
│   ├── NotFoundError         404  no such resource, or somebody else's
│   ├── ConflictError         409  the resource's present state does not allow it
│   ├── TooLargeError         413  too many bytes
│   ├── InvalidInputError     422  the request cannot be understood
│   ├── TooManyRequestsError  429  too fast, still so after every retry; or a quota is used up (code quota_exceeded)
│   └── UnavailableError      503  database, storage or service is away; still so after every retry
├── CheckFailedError          a worker looked at a model, data set or concept set and refused it: resource, code, param
├── JobFailedError            a job ended without a result: job, code
│   └── JobCanceledError      because it was canceled
└── WaitTimeoutError          something was not finished in the time given for waiting
"""

from __future__ import annotations

from dataclasses import dataclass

import httpx


class IISError(Exception):
    """Base of everything the client raises; `str(error)` is a sentence that can be shown."""


class ConfigurationError(IISError):
    """The client was not told enough, or was told things that contradict each other."""


class LocalFileError(IISError):
    """A file or folder on this machine cannot be sent."""


class ServiceUnreachableError(IISError):
    """Nobody answers at the address."""


@dataclass(frozen=True)
class FieldError:
    """One thing that is wrong with one field of a request."""

    param: str
    message: str
    code: str


class ServiceError(IISError):
    """A problem+json answer (RFC 9457).

    Parameters
    ----------
    status : of the HTTP response
    code : stable name for programs
    detail : the sentence for a person
    request_id : to be quoted when asking the people who run the service
    errors : one per field at fault
    retry_after_seconds : when a later try may succeed, if the service said so
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
    """401."""


class ForbiddenError(ServiceError):
    """403."""


class NotFoundError(ServiceError):
    """404."""


class ConflictError(ServiceError):
    """409."""


class TooLargeError(ServiceError):
    """413."""


class InvalidInputError(ServiceError):
    """422."""


class TooManyRequestsError(ServiceError):
    """429."""


class UnavailableError(ServiceError):
    """503."""


class CheckFailedError(IISError):
    """A model, a data set or a version of a concept set was refused by the worker that read it."""

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
    """The time given for waiting is over; what was waited for goes on at the service."""


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
    """The exception for a response that is not 2xx; a body that is no problem+json (a proxy's page) still gives a sentence."""
    kind = BY_STATUS.get(response.status_code, ServiceError)
    given = response.headers.get("Retry-After", "")
    retry_after_seconds = int(given) if given.isdecimal() else None
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "detail" not in body:
        request = response.request
        sentence = f"The service answered {response.status_code} {response.reason_phrase} to {request.method} {request.url.path}."
        request_id = response.headers.get("X-Request-ID", "")
        return kind(response.status_code, "no_problem_body", sentence, request_id, retry_after_seconds=retry_after_seconds)
    found = [FieldError(str(one["param"]), str(one["message"]), str(one["code"])) for one in body.get("errors") or []]
    code, request_id = str(body.get("code", "")), str(body.get("request_id", ""))
    return kind(response.status_code, code, str(body["detail"]), request_id, tuple(found), retry_after_seconds)
