"""One request to the service: key, retries, and refusals as exceptions. What the requests are about is in iis_client.client."""

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
READ_TIMEOUT_SECONDS = 75.0  # the service itself waits up to 60 for a worker's answer
DRAWN_TIMEOUT_SECONDS = 2 * READ_TIMEOUT_SECONDS  # of a figure: one answer for what it shows, one for the drawing
ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
IN_FLIGHT_SECONDS = 600.0  # how long a repeated request waits for the answer to its first one; the read timeout where that is longer
IN_FLIGHT_CODE = "idempotency_in_flight"
QUOTA_CODE = "quota_exceeded"
WITHOUT_PROXY: dict[str, httpx.BaseTransport | None] = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}

Body = Callable[[], Iterator[bytes]]  # made anew for each attempt
FormFiles = Sequence[tuple[str, tuple[str, bytes]]]  # parts of a form: field, file name, content


class Transport:
    """Sends requests, again where that is safe.

    Every POST carries an `Idempotency-Key`, so that a repeated one is answered and not done twice; the other methods are
    idempotent by themselves. Lost connections, 5xx and 429 are tried again with growing pauses. An answer still in flight is no
    failed attempt: the service works on it, and it is asked for again until a time is over.

    Parameters
    ----------
    base_url : of the service, for example http://127.0.0.1:8000
    api_key : `iis_…`
    attempts : how often one request is sent at most
    first_pause_seconds : before the second attempt; doubled for each one after
    """

    def __init__(self, base_url: str, api_key: str, *, attempts: int = ATTEMPTS, first_pause_seconds: float = FIRST_PAUSE_SECONDS) -> None:
        self.base_url = base_url.rstrip("/")
        self._attempts = attempts
        self._first_pause_seconds = first_pause_seconds
        self._http = httpx.Client(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {api_key}", "User-Agent": "iis-client"},
            timeout=httpx.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
            mounts=WITHOUT_PROXY,  # a proxy that the environment names cannot reach this machine's own services
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
        params: Mapping[str, str | int] | None = None,
        body: Body | None = None,
        files: FormFiles | None = None,
        headers: Mapping[str, str] | None = None,
        read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
    ) -> httpx.Response:
        """Send one request until it is answered.

        Raises
        ------
        ServiceError
            When the answer is a refusal.
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
                self.pause_or_give_up(attempt, lost)
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
            self.pause_or_give_up(attempt, error)

    @contextmanager
    def stream(self, path: str, *, headers: Mapping[str, str] | None = None, read_timeout_seconds: float) -> Generator[httpx.Response]:
        """Open one GET whose body is read as it comes; not repeated here, since only the reader knows where it got to."""
        timeout = httpx.Timeout(read_timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS)
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if not response.is_success:
                response.read()
                raise service_error(response)
            yield response

    def pause_or_give_up(self, attempt: int, lost: httpx.TransportError | ServiceError) -> None:
        """Pause before the next attempt; after the last one, or when the answer is a refusal that stays one, raise.

        Raises
        ------
        ServiceError
            The answer itself.
        ServiceUnreachableError
            When the connection was lost.
        """
        if attempt < self._attempts and _may_pass(lost):
            time.sleep(self._pause_seconds(attempt, lost))
            return
        if isinstance(lost, ServiceError):
            raise lost
        raise ServiceUnreachableError(
            f"The service at {self.base_url} does not answer ({type(lost).__name__}); "
            "start one with `iis up`, or set IIS_URL to the address of yours."
        ) from lost

    def _pause_seconds(self, attempt: int, lost: httpx.TransportError | ServiceError) -> float:
        if isinstance(lost, ServiceError) and lost.retry_after_seconds is not None:
            return min(float(lost.retry_after_seconds), LONGEST_PAUSE_SECONDS)
        return min(self._first_pause_seconds * 2.0 ** (attempt - 1), LONGEST_PAUSE_SECONDS)


def _may_pass(lost: httpx.TransportError | ServiceError) -> bool:
    """Whether the same request may be answered otherwise in a moment: lost connections, 5xx, and 429 that is no used up quota."""
    if isinstance(lost, httpx.TransportError):
        return True
    if lost.code == QUOTA_CODE:
        return False
    return lost.status >= HTTPStatus.INTERNAL_SERVER_ERROR or lost.status == HTTPStatus.TOO_MANY_REQUESTS
