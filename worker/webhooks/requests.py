"""Send one HTTP request to an untrusted receiver, with limits on its address, its duration and the size of its response.

The host name is resolved once, webhooks must be allowed to reach all its addresses, and the connection is made to one of them. The name
stays in the URL, in the Host header and in the verification of the certificate. Redirects are not followed, and proxies of the
environment are not used: httpcore supports neither.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import httpcore

from app.db.deliveries import Outcome
from app.webhook_security.addresses import Address, InvalidUrl, Network, Target, is_reachable, read_url

MAX_ADDRESSES_TRIED = 4
READ_MAX_BYTES = 4096
EXCERPT_MAX_CHARACTERS = 500
REDIRECTS = range(300, 400)
SUCCESSES = range(200, 300)
USER_AGENT = "iis-webhooks/1"


@dataclass(frozen=True)
class RequestLimits:
    """Timeouts of a request, and the networks that it may reach."""

    connect_seconds: float = 5
    total_seconds: float = 15  # from resolving the name to reading the response
    allowed: Sequence[Network] = ()
    allow_http: bool = False


class RequestRefused(Exception):
    """The request was not sent; the message says why."""


def post(url: str, body: str, headers: Mapping[str, str], limits: RequestLimits, ssl_context: ssl.SSLContext) -> Outcome:
    """Send a body within `limits.total_seconds`; returns the outcome. Errors of the receiver raise nothing."""
    deadline = time.monotonic() + limits.total_seconds
    try:
        target = read_url(url, limits.allowed, allow_http=limits.allow_http)
        backend = PinnedBackend(target, _addresses(target, limits), limits.connect_seconds, deadline)
        return _send(target, body.encode(), headers, backend, ssl_context)
    except (InvalidUrl, RequestRefused) as refused:
        return Outcome(None, str(refused))
    except httpcore.ConnectTimeout:
        return Outcome(None, "Connecting to the receiver took too long.")
    except httpcore.TimeoutException:
        return Outcome(None, f"The receiver did not answer within {limits.total_seconds:g} seconds.")
    except httpcore.ConnectError:
        return Outcome(None, "The connection to the receiver failed.")
    except (httpcore.NetworkError, httpcore.ProtocolError):
        return Outcome(None, "The receiver closed the connection, or its response was not HTTP.")


def _send(target: Target, body: bytes, headers: Mapping[str, str], backend: PinnedBackend, ssl_context: ssl.SSLContext) -> Outcome:
    sent = {
        "Host": target.authority,
        "User-Agent": USER_AGENT,
        "Accept-Encoding": "identity",
        "Connection": "close",
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(body)),
        **headers,
    }
    url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
    with (
        httpcore.ConnectionPool(ssl_context=ssl_context, network_backend=backend, max_connections=1, retries=0) as pool,
        pool.stream("POST", url, headers=list(sent.items()), content=body) as response,
    ):
        return Outcome(response.status, _error_of(response.status), _excerpt(response))


def _error_of(status: int) -> str | None:
    if status in SUCCESSES:
        return None
    if status in REDIRECTS:
        return f"The receiver answered {status}, a redirect, which webhooks do not follow; register the URL that it leads to."
    return f"The receiver answered {status}."


def _excerpt(response: httpcore.Response) -> str | None:
    """The printable beginning of the body; errors while reading it are ignored, since the status is known."""
    read = b""
    try:
        for chunk in response.iter_stream():
            read += chunk
            if len(read) >= READ_MAX_BYTES:
                break
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        pass  # the status is enough
    text = "".join(character if character.isprintable() else " " for character in read[:READ_MAX_BYTES].decode(errors="replace"))
    return " ".join(text.split())[:EXCERPT_MAX_CHARACTERS] or None


def _addresses(target: Target, limits: RequestLimits) -> list[Address]:
    """The addresses of the host, all of which webhooks may reach."""
    addresses = [target.literal] if target.literal is not None else _resolve(target.host, target.port, limits.connect_seconds)
    if not all(is_reachable(address, limits.allowed) for address in addresses):
        raise RequestRefused("The host name resolves to an address outside the public internet, which webhooks cannot reach.")
    return addresses


def _resolve(host: str, port: int, timeout_seconds: float) -> list[Address]:
    """Resolve a name with a timeout, which the system's resolver lacks."""
    found: list[Address] = []

    def resolve() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found.extend(dict.fromkeys(ip_address(str(answer[4][0])) for answer in answers))

    resolver = threading.Thread(target=resolve, name="webhook-resolver", daemon=True)
    resolver.start()
    resolver.join(timeout_seconds)
    if not found:
        raise RequestRefused("The host name does not resolve to an address.")
    return list(found)


def _tls_error(error: httpcore.ConnectError) -> RequestRefused:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return RequestRefused(f"The receiver's certificate was not accepted: {cause.verify_message.rstrip('.')}.")
    return RequestRefused("The TLS handshake with the receiver failed.")


class PinnedBackend(httpcore.NetworkBackend):
    """Connect to addresses that were resolved and checked before, without resolving the name again."""

    def __init__(self, target: Target, addresses: Sequence[Address], connect_seconds: float, deadline: float) -> None:
        self._target = target
        self._addresses = addresses
        self._connect_seconds = connect_seconds
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that accepts the connection."""
        if (host, port) != (self._target.host, self._target.port):
            raise httpcore.ConnectError("The host is not the one that was checked.")
        until = min(self._deadline, time.monotonic() + self._connect_seconds)
        failure: httpcore.ConnectError | httpcore.ConnectTimeout = httpcore.ConnectTimeout()
        for address in self._addresses[:MAX_ADDRESSES_TRIED]:
            left = until - time.monotonic()
            if left <= 0:
                break
            try:
                stream = self._sockets.connect_tcp(str(address), port, timeout=left, socket_options=socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            return DeadlineStream(stream, self._deadline)
        raise failure


class DeadlineStream(httpcore.NetworkStream):
    """A connection with one deadline for all its operations, however slowly bytes arrive."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Start TLS; the whole handshake is one operation."""
        try:
            secured = self._stream.start_tls(ssl_context, server_hostname, self._left(httpcore.ConnectTimeout))
        except httpcore.ConnectError as error:  # here, since httpcore's pool drops the cause
            raise _tls_error(error) from error
        return DeadlineStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)

    def _left(self, exceeded: type[httpcore.TimeoutException]) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise exceeded
        return left
