"""One connection to the service: files up, JSON to and fro. What is asked for is in the modules that build on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from iis_client.transport import uploads
from iis_client.transport.address import find_address
from iis_client.transport.http import FIGURE_TIMEOUT_SECONDS, Transport
from iis_client.transport.packing import as_one_file
from iis_client.transport.polling import pages
from iis_client.types.scores import Upload


class Connection:
    """What every group of calls stands on.

    Parameters
    ----------
    base_url : of the service; else IIS_URL, else the stack that `iis up` started on this machine
    api_key : `iis_…`; else IIS_API_KEY, else that stack's own first key
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None, *, transport: Transport | None = None) -> None:
        if transport is None:
            address = find_address(base_url, api_key)
            transport = Transport(address.url, address.api_key)
        self._transport = transport

    @property
    def base_url(self) -> str:
        """Where the service is."""
        return self._transport.base_url

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def upload(self, path: str | Path, progress: uploads.UploadProgress | None = None) -> Upload:
        """Send a file, or a folder as one tar; goes on where an earlier attempt with the same content stopped.

        Parameters
        ----------
        progress : called with (bytes there, bytes in all) as parts go out

        Raises
        ------
        LocalFileError
            When there is nothing to send at the path.
        """
        with as_one_file(Path(path)) as file:
            return uploads.send_file(self._transport, file, progress)

    def sent(self, upload: str) -> Upload:
        """One upload, sent before."""
        return cast("Upload", self._get(f"/v1/uploads/{upload}"))

    def _get(self, path: str) -> Any:
        return self._transport.send("GET", path).json()

    def _post(self, path: str, fields: Any) -> Any:
        return self._transport.send("POST", path, json=fields).json()

    def _figure(self, path: str, query: Mapping[str, str | None]) -> bytes:
        return self._transport.send("GET", path, params=given(query), read_timeout_seconds=FIGURE_TIMEOUT_SECONDS).content

    def _pages(self, path: str, **filters: str | None) -> Iterator[Any]:
        return pages(self._transport, path, given(filters))


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that were given; for the others the service has defaults."""
    return {name: value for name, value in fields.items() if value is not None}
