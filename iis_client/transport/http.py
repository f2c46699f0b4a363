"""Send one HTTP request: API key, idempotency key, retries, errors as exceptions. The calls are in iis_client.resources."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import httpx

from iis_client.errors import ServiceError, ServiceUnreachableError, service_error

CONNECT_TIMEOUT_SECONDS = 10.0
READ_TIMEOUT_SECONDS = 75.0  # the service waits up to 60 s for a worker's answer
FIGURE_TIMEOUT_SECONDS = 2 * READ_TIMEOUT_SECONDS  # a figure can take two answers of a worker: its data, then the drawing
MAX_ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
IN_FLIGHT_SECONDS = 600.0  # wait for the answer to the first request of an idempotency key; at least the read timeout
IN_FLIGHT_CODE = "idempotency_in_flight"
QUOTA_CODE = "quota_exceeded"
NO_PROXY_MOUNTS: dict[str, httpx.BaseTransport | None] = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}

Body = Callable[[], Iterator[bytes]]  # called once per attempt
FormFiles = Sequence[tuple[str, tuple[str, bytes]]]  # parts of a form: field, file name, content


class Transport:
    """Send requests; retry where that is safe.

    Every POST carries an `Idempotency-Key`, so a retried POST is executed once; the other methods are idempotent by definition.
    Lost connections, 5xx and 429 are retried with exponential back-off. The response `idempotency_in_flight` does not count as a
    failed attempt: the first request is still running, and the client polls for its answer until a timeout.

    Parameters
    ----------
    base_url : of the service, for example http://127.0.0.1:8000
    api_key : `iis_…`
    attempts : maximum number of times one request is sent
    first_pause_seconds : pause before the second attempt; doubled for each further attempt
    """

    def __init__(
        self, base_url: str, api_key: str, *, attempts: int = MAX_ATTEMPTS, first_pause_seconds: float = FIRST_PAUSE_SECONDS
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._attempts = attempts
        self._first_pause_seconds = first_pause_seconds
        self._http = httpx.Client(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {api_key}", "User-Agent": "iis-client"},
            timeout=httpx.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
            mounts=NO_PROXY_MOUNTS,  # a proxy set in the environment cannot reach services on this machine
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str | int | list[str]] | None = None,
        body: Body | None = None,
        files: FormFiles | None = None,
        headers: Mapping[str, str] | None = None,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
    ) -> httpx.Response:
        """Send one request; retry until it is answered.

        Raises
        ------
        ServiceError
            When the service refuses the request.
        ServiceUnreachableError
            When there is no answer after the last attempt.
        """
        fields = dict(headers or {})
        if method == "POST":
            fields.setdefault("Idempotency-Key", uuid4().hex)
        timeout = httpx.Timeout(read_timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS)
        attempt = 0
        in_flight_until: float | None = None
        while True:
            content = body() if body is not None else None
            try:
                response = self._http.request(
                    method, path, json=json, params=params, content=content, files=files, headers=fields, timeout=timeout
                )
            except httpx.TransportError as lost:
                attempt += 1
                self.wait_before_retry(attempt, lost)
                continue
            if response.is_success:
                return response
            error = service_error(response)
            if error.code == IN_FLIGHT_CODE:
                in_flight_until = in_flight_until or time.monotonic() + max(IN_FLIGHT_SECONDS, read_timeout_seconds)
                if time.monotonic() >= in_flight_until:
                    raise error
                time.sleep(self._pause_seconds(1, error))
                continue
            attempt += 1
            self.wait_before_retry(attempt, error)

    @contextmanager
    def stream(self, path: str, *, headers: Mapping[str, str] | None = None, read_timeout_seconds: float) -> Generator[httpx.Response]:
        """Open one GET and stream its body; the caller retries, since only the caller knows how much it has read."""
        timeout = httpx.Timeout(read_timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS)
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if not response.is_success:
                response.read()
                raise service_error(response)
            yield response

    def wait_before_retry(self, attempt: int, error: httpx.TransportError | ServiceError) -> None:
        """Sleep before the next attempt; raise after the last attempt, or when a retry cannot help.

        Raises
        ------
        ServiceError
            `error` itself.
        ServiceUnreachableError
            When the connection was lost.
        """
        if attempt < self._attempts and _is_retryable(error):
            time.sleep(self._pause_seconds(attempt, error))
            return
        if isinstance(error, ServiceError):
            raise error
        raise ServiceUnreachableError(
            f"The service at {self.base_url} does not answer ({type(error).__name__}); "
            "start one with `iis up`, or set IIS_URL to the address of yours."
        ) from error

    def _pause_seconds(self, attempt: int, error: httpx.TransportError | ServiceError) -> float:
        if isinstance(error, ServiceError) and error.retry_after_seconds is not None:
            return min(float(error.retry_after_seconds), LONGEST_PAUSE_SECONDS)
        return min(self._first_pause_seconds * 2.0 ** (attempt - 1), LONGEST_PAUSE_SECONDS)


def _is_retryable(error: httpx.TransportError | ServiceError) -> bool:
    """Lost connections, 5xx, and 429 unless a quota is used up."""
    if isinstance(error, httpx.TransportError):
        return True
    if error.code == QUOTA_CODE:
        return False
    return error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status == HTTPStatus.TOO_MANY_REQUESTS
