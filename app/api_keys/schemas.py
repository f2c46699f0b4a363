"""Wire types of API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.db.models import ApiKey

KEY_EXAMPLE: dict[str, Any] = {
    "id": "key_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "name": "laptop",
    "hint": "x7Qd",
    "created_at": "2026-01-12T09:30:00Z",
    "revoked_at": None,
    "links": {"self": "/v1/api-keys/key_01jz3v8k2m4n6p8q0r2s4t6v8w", "list": "/v1/api-keys"},
}


class ApiKeyCreate(BaseModel):
    """A request for another key of the same owner."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "laptop"}]})

    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")


class ApiKeyView(BaseModel):
    """A key without its secret, which nobody can read again."""

    model_config = ConfigDict(json_schema_extra={"examples": [KEY_EXAMPLE]})

    id: str
    name: str
    hint: str = Field(description="The secret's last four characters")
    created_at: datetime
    revoked_at: datetime | None
    links: dict[str, str]

    @classmethod
    def of(cls, key: ApiKey) -> ApiKeyView:
        """The view of a row."""
        return cls(
            id=key.id,
            name=key.name,
            hint=key.hint,
            created_at=key.created_at,
            revoked_at=key.revoked_at,
            links={"self": f"/v1/api-keys/{key.id}", "list": "/v1/api-keys"},
        )


class ApiKeyCreated(ApiKeyView):
    """A new key with its secret, shown this once; a replay under the same Idempotency-Key has null in its place."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**KEY_EXAMPLE, "secret": "iis_8vJk…x7Qd"}]})

    secret: str | None
