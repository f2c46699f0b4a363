"""API keys as answers show them."""

from __future__ import annotations

from datetime import UTC, datetime

from app.db.models import ApiKey
from app.http.scopes import in_order
from iis_schemas.api_keys import ApiKeyView, RetiredSecretView


def view_of(key: ApiKey) -> ApiKeyView:
    """The view of a row, without secrets that have expired."""
    now = datetime.now(UTC)
    at = f"/v1/api-keys/{key.id}"
    retired = [one for one in key.retired_secrets if one.expires_at > now and key.revoked_at is None]
    return ApiKeyView(
        id=key.id,
        name=key.name,
        hint=key.hint,
        scopes=in_order(key.scopes),
        created_at=key.created_at,
        expires_at=key.expires_at,
        rotated_at=key.rotated_at,
        retired_secrets=[RetiredSecretView(hint=one.hint, expires_at=one.expires_at) for one in retired],
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        links={"self": at, "rotate": f"{at}/rotate", "list": "/v1/api-keys"},
    )
