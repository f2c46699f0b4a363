"""Text of API keys: creation, the digest that is stored, and the checksum that shows a made-up key without a look at the database.

A key is `iis_`, 43 random characters, a point, and 11 characters of a checksum keyed with the service's secret. Keys from before the
checksum have no point; they stay valid.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256

SECRET_PREFIX = "iis_"  # noqa: S105 (prefix of all keys, not a secret)
KEY_COOKIE = "iis_key"  # of the web page
RANDOM_BYTES = 32
CHECKSUM_BYTES = 8
CHECKSUM_MARK = "."  # not in the alphabet of token_urlsafe


def new_key(api_key_secret: str) -> str:
    """A random API key."""
    content = SECRET_PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    return content + CHECKSUM_MARK + _checksum(content, api_key_secret)


def digest_of(key: str, api_key_secret: str) -> str:
    """Stored digest of an API key: HMAC-SHA256 under the service's secret, so that a leaked table contains no usable key."""
    return hmac.new(api_key_secret.encode(), key.encode(), sha256).hexdigest()


def checksum_holds(key: str, api_key_secret: str) -> bool | None:
    """Whether this service may have made the key; None for a key without a checksum."""
    content, mark, checksum = key.rpartition(CHECKSUM_MARK)
    if not mark:
        return None
    return hmac.compare_digest(checksum.encode(), _checksum(content, api_key_secret).encode())


def secret_in(authorization: str | None) -> str | None:
    """API key of an Authorization header; None if it is not a bearer token with our prefix."""
    scheme, _, secret = (authorization or "").partition(" ")
    secret = secret.strip()
    return secret if scheme.lower() == "bearer" and secret.startswith(SECRET_PREFIX) else None


def _checksum(content: str, api_key_secret: str) -> str:
    keyed = hmac.new(api_key_secret.encode(), b"checksum of an API key\0" + content.encode(), sha256).digest()
    return urlsafe_b64encode(keyed[:CHECKSUM_BYTES]).decode().rstrip("=")
