"""Secrets and signatures of webhooks, by the Standard Webhooks scheme (https://www.standardwebhooks.com).

A secret must be known to whoever sends, and is stored nowhere: it is HMAC-SHA256 of a random salt under the service's own secret,
IIS_API_KEY_SECRET, which API and worker both have. A stolen table signs nothing, and no cipher or key of its own is needed. Where the
service's secret is changed, webhooks need new ones, as API keys do; a digest of each secret tells.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from standardwebhooks.webhooks import Webhook as Signer

from app.settings import Settings

SECRET_PREFIX = "whsec_"  # noqa: S105 (the prefix of secrets, not a secret)
_PURPOSE = "webhook secret "  # API keys are digested under the same key; no salt makes one of the other
_SALT_BYTES = 24


def new_salt() -> str:
    """A random salt, from which a secret is derived."""
    return secrets.token_urlsafe(_SALT_BYTES)


def secret_of(salt: str, settings: Settings) -> str:
    """The secret derived from a salt, as the receiver keeps it."""
    key = hmac.new(settings.api_key_secret.encode(), (_PURPOSE + salt).encode(), sha256).digest()
    return SECRET_PREFIX + base64.b64encode(key).decode()


def digest_of(secret: str) -> str:
    """A digest by which a sender verifies that it derived the right secret."""
    return sha256(secret.encode()).hexdigest()


def signed_headers(event_id: str, sent_at: datetime, body: str, secrets_: Sequence[str]) -> dict[str, str]:
    """The three headers by which a receiver authenticates a body, with a signature for each secret.

    Parameters
    ----------
    sent_at : in UTC; receivers refuse what is older than a few minutes
    """
    signatures = [Signer(secret).sign(event_id, sent_at, body) for secret in secrets_]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
