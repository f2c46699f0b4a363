"""Connect a command to the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iis_client.client import IISClient


def connect() -> IISClient:
    """Connect by environment or local stack; the client and its models are imported here, so that `iis --help` stays fast.

    Raises
    ------
    ConfigurationError
        When no service is found.
    """
    from iis_client.client import IISClient

    return IISClient()
