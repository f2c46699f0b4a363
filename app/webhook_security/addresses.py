"""Validate URLs of webhooks, and decide which addresses deliveries may connect to. Nothing is resolved or sent here.

A URL is validated when it is registered and before each delivery; host names are resolved only then (`worker.webhooks.requests`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from iis_schemas.webhooks import URL_MAX_CHARACTERS

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HOST_MAX_CHARACTERS = 253
PORTS = {"http": 80, "https": 443}
LOOPBACK = IPv4Address("127.0.0.1")

_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # last labels that some resolvers read as an IPv4 address: 2130706433, 0x7f.1, 0177.0.0.1

# Networks without receivers on the internet. `is_global` covers most of them, but differs between releases of Python.
# https://www.iana.org/assignments/iana-ipv4-special-registry, https://www.iana.org/assignments/iana-ipv6-special-registry
_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24"),
        *("192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16"),
        *("3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the IPv4 address is the last 32 bits
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214: the IPv4 address follows one of these


class InvalidUrl(ValueError):
    """A URL that webhooks cannot use; the message says what to give instead."""


@dataclass(frozen=True)
class Target:
    """A parsed URL, so that no second parser can interpret it differently."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def literal(self) -> Address | None:
        """The host as an address; None when it is a name."""
        return _literal(self.host)

    @property
    def authority(self) -> str:
        """Host and port as in a URL and in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def read_url(url: str, allowed: Sequence[Network], *, allow_http: bool) -> Target:
    """Parse and validate a receiver's URL.

    Parameters
    ----------
    allowed : networks that the operator allows in addition to the public internet
    allow_http : whether the operator allows unencrypted deliveries

    Raises
    ------
    InvalidUrl
        When webhooks cannot use the URL.
    """
    if len(url) > URL_MAX_CHARACTERS or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise InvalidUrl(
            f"A webhook's URL may have at most {URL_MAX_CHARACTERS:,} printable ASCII characters and no backslash; "
            "write other characters percent-encoded, and a host's name in its xn-- form."
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidUrl("This is not a URL; give one such as https://example.org/hooks.") from None
    scheme = parts.scheme.lower()
    if scheme != "https" and not (allow_http and scheme == "http"):
        raise InvalidUrl("A webhook's URL must begin with https://.")
    if "@" in parts.netloc:
        raise InvalidUrl("A webhook's URL must not contain a user name or password; verify the signature of deliveries instead.")
    if "#" in url:
        raise InvalidUrl("A webhook's URL must not have a fragment; remove the part from # on.")
    if port == 0:
        raise InvalidUrl("Port 0 is not a valid port.")
    bracketed = parts.netloc.startswith("[")
    literal = _literal(host)
    if bracketed != isinstance(literal, IPv6Address) or not (literal or _is_name(host)):
        raise InvalidUrl(
            "The URL's host must be a name, such as example.org, without a dot at its end, or an address in its usual form: "
            "four decimal numbers, or IPv6 in brackets without a zone."
        )
    if literal is None and (host == "localhost" or host.endswith(".localhost")):
        literal = LOOPBACK
    if literal is not None and not is_reachable(literal, allowed):
        raise InvalidUrl("The URL's host is not on the public internet; webhooks cannot reach other hosts.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme, str(_literal(host) or host), port or PORTS[scheme], path)


def is_reachable(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether webhooks may connect to an address: a public one, or one in a network that the operator allows."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    return _within(address, allowed) or _is_public(address)


def _is_public(address: Address) -> bool:
    if _within(address, _NOT_PUBLIC):
        return False
    if isinstance(address, IPv6Address):
        last = IPv4Address(int(address) & 0xFFFF_FFFF)
        if address in _NAT64:
            return _is_public(last)
        if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _literal(host: str) -> Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return None if isinstance(address, IPv6Address) and address.scope_id is not None else address


def _is_name(host: str) -> bool:
    labels = host.split(".")
    return len(host) <= HOST_MAX_CHARACTERS and all(map(_LABEL.fullmatch, labels)) and not _NUMBER.fullmatch(labels[-1])
