"""Refuse a request beyond capacity by its first bytes, before they are parsed: a burst costs the event loop as little as possible.

Only requests without a body whose client is plain from their headers are refused here; the middleware decides about all others alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from app.db.ids import new_id
from app.http.admission.capacity import Capacity
from app.http.admission.clients import Client, counted_as, is_unknown, normal_address
from app.http.admission.known_keys import KnownKeys
from app.http.admission.refusals import over_capacity
from app.http.key_text import checksum_holds, digest_of
from app.http.middleware import QUIET_ROUTES
from app.http.problems import api_error_response

HEAD_END = b"\r\n\r\n"
KEY = re.compile(rb"\r\nauthorization:[ \t]*bearer[ \t]+(iis_[!-~]+)[ \t]*\r\n", re.IGNORECASE)
OTHERS = re.compile(rb"\r\n(authorization|cookie|content-length|transfer-encoding|expect):", re.IGNORECASE)
QUIET = re.compile(rb"[A-Z]+ (" + b"|".join(re.escape(path.encode()) for path in QUIET_ROUTES) + rb")[ ?]")
UNTIL_VERSION = 8  # characters of a method, at most


class EarlyRefusal:
    """Decide about the first bytes of a connection.

    Parameters
    ----------
    count : called with the method of each request that is refused
    trusts_proxies : whether the address of the connection may be a proxy's; then only keys count
    """

    def __init__(
        self, capacity: Capacity, known_keys: KnownKeys[object], api_key_secret: str, count: Callable[[str], None], *, trusts_proxies: bool
    ) -> None:
        self._capacity = capacity
        self._known_keys = known_keys
        self._api_key_secret = api_key_secret
        self._count = count
        self._trusts_proxies = trusts_proxies

    def answer(self, data: bytes, address: str) -> bytes | None:
        """The whole answer that refuses the request, after which the connection is closed; None to go on."""
        if not data.endswith(HEAD_END) or QUIET.match(data) is not None:
            return None
        client = self._client(data, address)
        if client is None or self._has_room(client):
            return None
        self._count(data[:UNTIL_VERSION].partition(b" ")[0].decode("latin-1"))
        return REFUSAL.replace(REFUSAL_ID, new_id("req").encode())

    def _has_room(self, client: Client) -> bool:
        if is_unknown(client, self._known_keys) and not self._capacity.unknown_clients.has_room(client.address):
            return False
        return self._capacity.requests.has_room(counted_as(client, self._known_keys))

    def _client(self, data: bytes, address: str) -> Client | None:
        found = KEY.search(data)
        if found is None:
            return None if self._trusts_proxies or OTHERS.search(data) is not None else Client(normal_address(address), None, None)
        if OTHERS.search(data, found.end() - 2) is not None or OTHERS.search(data, 0, found.start() + 2) is not None:
            return None
        key = found[1].decode("ascii")
        return Client(normal_address(address), digest_of(key, self._api_key_secret), checksum_holds(key, self._api_key_secret))


def _refusal(request_id: bytes) -> bytes:
    response = api_error_response(request_id.decode(), over_capacity())
    fields = [*response.raw_headers, (b"x-request-id", request_id), (b"connection", b"close")]
    head = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    return b"HTTP/1.1 503 Service Unavailable\r\n" + head + b"\r\n" + bytes(response.body)


REFUSAL_ID = new_id("req").encode()
REFUSAL = _refusal(REFUSAL_ID)  # written once: all refusals differ in the id of the request alone, which has the same length
