"""Requests and answers of API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from iis_schemas.names import Scope
from iis_schemas.numbers import Number

DAY_SECONDS = 24 * 3600
KEY_EXAMPLE: dict[str, Any] = {
    "id": "key_01jz3v8k2m4n6p8q0r2s4t6v8w",
    "name": "laptop",
    "hint": "x7Qd",
    "scopes": ["read", "write"],
    "created_at": "2026-01-12T09:30:00Z",
    "expires_at": "2027-01-12T00:00:00Z",
    "rotated_at": "2026-06-01T08:00:00Z",
    "retired_secrets": [{"hint": "k2Lp", "expires_at": "2026-06-02T08:00:00Z"}],
    "last_used_at": "2026-06-01T08:14:00Z",
    "revoked_at": None,
    "links": {
        "self": "/v1/api-keys/key_01jz3v8k2m4n6p8q0r2s4t6v8w",
        "rotate": "/v1/api-keys/key_01jz3v8k2m4n6p8q0r2s4t6v8w/rotate",
        "list": "/v1/api-keys",
    },
}


class ApiKeyCreate(BaseModel):
    """A request for another key of the same owner."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "laptop", "scopes": ["read", "write"], "expires_at": "2027-01-12T00:00:00Z"}]},
    )

    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")
    scopes: Annotated[list[Scope], Field(min_length=1)] | None = Field(
        default=None,
        description="read, write (which does not include read) and admin; those of the requesting key unless given",
    )
    expires_at: AwareDatetime | None = Field(
        default=None, description="Expiry, with an offset (2027-01-12T00:00:00Z); the key does not expire unless given"
    )


class ApiKeyRotate(BaseModel):
    """Replace the secret of a key."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"grace_seconds": 3600}]})

    grace_seconds: Number = Field(
        default=DAY_SECONDS, ge=0, le=30 * DAY_SECONDS, description="How long old secrets still work; 0 ends all of them at once"
    )


class RetiredSecretView(BaseModel):
    """A secret that was replaced and still works."""

    hint: str
    expires_at: datetime


class ApiKeyView(BaseModel):
    """A key without its secret, which is not stored."""

    model_config = ConfigDict(json_schema_extra={"examples": [KEY_EXAMPLE]})

    id: str
    name: str
    hint: str = Field(description="The secret's last four characters")
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    rotated_at: datetime | None = Field(description="Time of the last rotation")
    retired_secrets: list[RetiredSecretView] = Field(description="Secrets that were replaced and still work")
    last_used_at: datetime | None = Field(description="To the minute")
    revoked_at: datetime | None
    links: dict[str, str]


class ApiKeyCreated(ApiKeyView):
    """A key with its new secret, which is shown once; a replay under the same Idempotency-Key has null instead."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**KEY_EXAMPLE, "secret": "iis_8vJk…x7Qd"}]})

    secret: str | None
