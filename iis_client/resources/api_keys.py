"""API keys of one's own, and what one may have at the service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from iis_client.transport.connection import Connection, given
from iis_client.types.api_keys import ApiKey, NewApiKey, Quotas, Scope

PATH = "/v1/api-keys"


class ApiKeys(Connection):
    """Calls on API keys, all of which need one with the scope admin, and on quotas."""

    def create_key(self, name: str, *, scopes: Sequence[Scope] | None = None, expires_at: str | None = None) -> NewApiKey:
        """Make another key.

        Parameters
        ----------
        scopes : what it may do; what the asking key may unless given
        expires_at : when it ends, with an offset ("2027-01-12T00:00:00Z"); never unless given
        """
        return cast("NewApiKey", self._post(PATH, given({"name": name, "scopes": scopes, "expires_at": expires_at})))

    def keys(self) -> Iterator[ApiKey]:
        """Your keys, newest first, revoked ones too."""
        return cast("Iterator[ApiKey]", self._pages(PATH))

    def key(self, key: str) -> ApiKey:
        """One key."""
        return cast("ApiKey", self._get(f"{PATH}/{key}"))

    def rotate_key(self, key: str, *, grace_seconds: float | None = None) -> NewApiKey:
        """Give a key another secret; the old one works for `grace_seconds` more, a day unless given, and with 0 no longer."""
        return cast("NewApiKey", self._post(f"{PATH}/{key}/rotate", given({"grace_seconds": grace_seconds})))

    def revoke_key(self, key: str) -> None:
        """Close a key for good."""
        self._transport.send("DELETE", f"{PATH}/{key}")

    def quotas(self) -> Quotas:
        """What you may have and have."""
        return cast("Quotas", self._get("/v1/quotas"))
