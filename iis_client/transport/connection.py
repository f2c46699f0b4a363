"""One connection to the service: requests with typed bodies and answers, pages, figures, uploads. The calls are in iis_client.resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel

from iis_client.transport import uploads
from iis_client.transport.address import find_address
from iis_client.transport.http import FIGURE_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, Transport
from iis_client.transport.messages import Answer, id_of, parse_answer, request_body, without_none
from iis_client.transport.packing import as_one_file
from iis_client.transport.polling import pages
from iis_schemas.uploads import UploadView


class Connection:
    """Base class of all groups of calls.

    Parameters
    ----------
    base_url : of the service; default: IIS_URL, else the profile of `iis login`, else the service that `iis up` started
    api_key : `iis_…`; default: IIS_API_KEY, else that of the profile, or the first key of that service
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None, *, transport: Transport | None = None) -> None:
        if transport is None:
            address = find_address(base_url, api_key)
            transport = Transport(address.url, address.api_key)
        self._transport = transport

    @property
    def base_url(self) -> str:
        """Base URL of the service."""
        return self._transport.base_url

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def upload(self, path: str | Path, progress: uploads.UploadProgress | None = None) -> UploadView:
        """Upload a file, or a folder as one tar; resume an earlier attempt with the same content.

        Parameters
        ----------
        progress : called with (bytes sent, total bytes) as parts are sent

        Raises
        ------
        LocalFileError
            When the path does not exist, or is empty.
        """
        with as_one_file(Path(path)) as file:
            return uploads.send_file(self._transport, file, progress)

    def upload_status(self, upload: str | UploadView) -> UploadView:
        """State of an upload."""
        return self._get(UploadView, f"/v1/uploads/{id_of(upload)}")

    def delete_upload(self, upload: str | UploadView) -> None:
        """Delete an upload.

        Raises
        ------
        ConflictError
            While a model or a data set uses it.
        """
        self._delete(f"/v1/uploads/{id_of(upload)}")

    def _get(
        self,
        model: type[Answer],
        path: str,
        query: Mapping[str, str | int | None] | None = None,
        *,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
    ) -> Answer:
        params = without_none(query or {})
        return parse_answer(model, self._transport.send("GET", path, params=params, read_timeout_seconds=read_timeout_seconds).json())

    def _post(self, model: type[Answer], path: str, request: BaseModel | None = None) -> Answer:
        body: Any = None if request is None else request_body(request)
        return parse_answer(model, self._transport.send("POST", path, json=body).json())

    def _patch(self, model: type[Answer], path: str, body: Mapping[str, Any]) -> Answer:
        return parse_answer(model, self._transport.send("PATCH", path, json=body).json())

    def _delete(self, path: str) -> None:
        self._transport.send("DELETE", path)

    def _figure(self, path: str, query: Mapping[str, str | int | None]) -> bytes:
        return self._transport.send("GET", path, params=without_none(query), read_timeout_seconds=FIGURE_TIMEOUT_SECONDS).content

    def _pages(self, model: type[Answer], path: str, query: Mapping[str, str | int | list[str] | None] | None = None) -> Iterator[Answer]:
        return (parse_answer(model, item) for item in pages(self._transport, path, without_none(query or {})))
