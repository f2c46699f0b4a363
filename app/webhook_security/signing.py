"""Secrets of webhooks and signatures of deliveries, by the Standard Webhooks scheme (https://www.standardwebhooks.com).

A secret is derived, not stored: HMAC-SHA256 of a random salt with the service's secret, IIS_API_KEY_SECRET, which API and worker both
have. A stolen table can sign nothing. After a change of the service's secret, webhooks need new secrets, as API keys do; the stored
digest of each secret reveals the change.
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

SECRET_PREFIX = "whsec_"  # noqa: S105 (how every secret begins, no secret)
_PURPOSE = "webhook secret "  # API keys use the same HMAC key; the prefix keeps the two kinds of digests apart
_SALT_BYTES = 24


def new_salt() -> str:
    """A random salt, from which a secret is derived."""
    return secrets.token_urlsafe(_SALT_BYTES)


def secret_of(salt: str, settings: Settings) -> str:
    """The secret derived from a salt, in the form that the receiver stores."""
    key = hmac.new(settings.api_key_secret.encode(), (_PURPOSE + salt).encode(), sha256).digest()
    return SECRET_PREFIX + base64.b64encode(key).decode()


def secret_digest(secret: str) -> str:
    """The digest by which a sender checks that it derived the right secret; it reveals nothing about 256 random bits."""
    return sha256(secret.encode()).hexdigest()


def signed_headers(event_id: str, sent_at: datetime, body: str, secrets_: Sequence[str]) -> dict[str, str]:
    """The three headers that authenticate a body, with a signature for each secret.

    Parameters
    ----------
    sent_at : in UTC; receivers reject deliveries older than a few minutes
    """
    signatures = [Signer(secret).sign(event_id, sent_at, body) for secret in secrets_]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
