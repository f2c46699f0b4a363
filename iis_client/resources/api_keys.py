"""API keys and quotas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from iis_client.transport.connection import Connection
from iis_client.transport.messages import build_request, id_of
from iis_schemas.api_keys import ApiKeyCreate, ApiKeyCreated, ApiKeyRotate, ApiKeyView
from iis_schemas.names import Scope
from iis_schemas.quotas import QuotasView

PATH = "/v1/api-keys"


class ApiKeys(Connection):
    """Calls on API keys, which require the scope admin, and on quotas."""

    def create_key(self, name: str, *, scopes: Sequence[Scope] | None = None, expires_at: str | datetime | None = None) -> ApiKeyCreated:
        """Create an API key.

        Parameters
        ----------
        scopes : default: the scopes of the key that is used for this call
        expires_at : time of expiry with an offset ("2027-01-12T00:00:00Z"); default: never
        """
        return self._post(ApiKeyCreated, PATH, build_request(ApiKeyCreate, {"name": name, "scopes": scopes, "expires_at": expires_at}))

    def keys(self) -> Iterator[ApiKeyView]:
        """Your API keys, newest first, including revoked ones."""
        return self._pages(ApiKeyView, PATH)

    def key(self, key: str | ApiKeyView) -> ApiKeyView:
        """One API key."""
        return self._get(ApiKeyView, f"{PATH}/{id_of(key)}")

    def rotate_key(self, key: str | ApiKeyView, *, grace_seconds: float | None = None) -> ApiKeyCreated:
        """Replace the secret of a key; the old secret remains valid for `grace_seconds`, by default one day."""
        return self._post(ApiKeyCreated, f"{PATH}/{id_of(key)}/rotate", build_request(ApiKeyRotate, {"grace_seconds": grace_seconds}))

    def revoke_key(self, key: str | ApiKeyView) -> None:
        """Revoke a key permanently."""
        self._delete(f"{PATH}/{id_of(key)}")

    def quotas(self) -> QuotasView:
        """Your quotas and usage, and the scopes of the key that is used."""
        return self._get(QuotasView, "/v1/quotas")
