"""Client of a request as its headers show it, before authentication: a key that may be valid, or an address."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any

from starlette.requests import cookie_parser
from starlette.types import Scope

from app.http.admission.known_keys import KnownKeys
from app.http.key_text import KEY_COOKIE, checksum_holds, digest_of, secret_in
from app.http.share_access import token_digest, token_in

IPV6_HOST_BITS = 64  # clients control a whole /64, so the limit applies to the network


@dataclass(frozen=True)
class Client:
    """Client of a request.

    Attributes
    ----------
    address : as `address_of`
    key_digest : digest of the API key sent, None without a key
    has_checksum : whether the key's checksum is right; None for a key without one, or no key
    token_digest : digest of the token of a share link, sent instead of a key; such requests count under their address
    """

    address: str
    key_digest: str | None
    has_checksum: bool | None
    token_digest: str | None = None


def client_of(scope: Scope, api_key_secret: str) -> Client:
    """Client of a request: the key in the Authorization header, or else in the page's cookie."""
    authorization: str | None = None
    cookie: str | None = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = value.decode("latin-1")
        elif name == b"cookie":
            cookie = cookie_parser(value.decode("latin-1")).get(KEY_COOKIE)
    secret = secret_in(f"Bearer {cookie}" if authorization is None and cookie is not None else authorization)
    if secret is None:
        token = token_in(authorization)
        return Client(address_of(scope), None, None, None if token is None else token_digest(token, api_key_secret))
    return Client(address_of(scope), digest_of(secret, api_key_secret), checksum_holds(secret, api_key_secret))


def counted_as(client: Client, known_keys: KnownKeys[Any]) -> str:
    """Name under which a request is counted: the owner of a known key, another key that can be valid, otherwise its address."""
    key = client.key_digest
    owner_id = None if key is None else known_keys.owner_of(key)
    if owner_id is not None:
        return owner_name(owner_id)
    return f"address {client.address}" if key is None or not client.has_checksum else f"key {key}"


def is_unknown(client: Client, known_keys: KnownKeys[Any]) -> bool:
    """Whether this process has not authenticated the client: no key, a made-up one, or the first use of one; False for share links."""
    if client.key_digest is None:
        return client.token_digest is None
    return known_keys.owner_of(client.key_digest) is None


def owner_name(owner_id: str) -> str:
    """Name under which all requests of an owner are counted, who may have many keys."""
    return f"owner {owner_id}"


def address_of(scope: Scope) -> str:
    """Client address of a request, as the server resolved it from a trusted proxy."""
    client = scope.get("client")
    return "local" if client is None else normal_address(str(client[0]))


def normal_address(text: str) -> str:
    """An address; the /64 network of an IPv6 address."""
    try:
        address = ip_address(text)
    except ValueError:
        return text
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{int(address) >> IPV6_HOST_BITS:x}"
    return str(address)
