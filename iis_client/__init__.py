"""Python client of the Inherent Interpretability Score service: `from iis_client import IISClient`.

Calls of IISClient return models of iis_schemas and raise the exceptions below; iis_client.errors draws their tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iis_client.errors import (
    CheckFailedError,
    ConfigurationError,
    ConflictError,
    FieldError,
    ForbiddenError,
    IISError,
    InvalidInputError,
    JobCanceledError,
    JobFailedError,
    LocalFileError,
    NotFoundError,
    ServiceError,
    ServiceUnreachableError,
    TooLargeError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
    UnexpectedAnswerError,
    WaitTimeoutError,
)

if TYPE_CHECKING:
    from iis_client.client import IISClient

__all__ = [
    "CheckFailedError",
    "ConfigurationError",
    "ConflictError",
    "FieldError",
    "ForbiddenError",
    "IISClient",
    "IISError",
    "InvalidInputError",
    "JobCanceledError",
    "JobFailedError",
    "LocalFileError",
    "NotFoundError",
    "ServiceError",
    "ServiceUnreachableError",
    "TooLargeError",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "WaitTimeoutError",
]


def __getattr__(name: str) -> type[IISClient]:
    """Import IISClient on first use: its models take longer to build than `iis --help` may take."""
    if name == "IISClient":
        from iis_client.client import IISClient

        return IISClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
