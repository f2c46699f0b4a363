"""Python client of the Inherent Interpretability Score service: `from iis_client import IISClient`, or AsyncIISClient for asyncio.

Calls return models of iis_schemas and raise the exceptions below; iis_client.errors draws their tree.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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
    from iis_client.async_client import AsyncIISClient
    from iis_client.client import IISClient

__all__ = [
    "AsyncIISClient",
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


_MODULES = {"AsyncIISClient": "async_client", "IISClient": "client"}


def __getattr__(name: str) -> Any:
    """Import the clients on first use: their models take longer to build than `iis --help` may take."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
