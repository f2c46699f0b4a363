"""Connect a command to the service."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from iis_client.transport.address import find_address

if TYPE_CHECKING:
    from iis_client.client import IISClient

chosen_profile: ContextVar[str | None] = ContextVar("chosen_profile", default=None)
"""Value of `iis --profile`."""


def connect(*, attempts: int | None = None) -> IISClient:
    """Connect by --profile, environment, default profile or local service; client and models are imported here for a fast `iis --help`.

    Parameters
    ----------
    attempts : of each request; default: the client's

    Raises
    ------
    ConfigurationError
        When no service is found.
    """
    from iis_client.client import IISClient
    from iis_client.transport.http import Transport

    address = find_address(profile=chosen_profile.get())
    if attempts is None:
        return IISClient(address.url, address.api_key)
    return IISClient(transport=Transport(address.url, address.api_key, attempts=attempts))
