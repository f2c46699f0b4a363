"""API keys and quotas as the service answers with them."""

from __future__ import annotations

from typing import Literal, TypedDict

Scope = Literal["read", "write", "admin"]


class RetiredSecret(TypedDict):
    """A secret that was replaced and still works until `expires_at`; `hint` is its last four characters."""

    hint: str
    expires_at: str


class ApiKey(TypedDict):
    """A key without its secret."""

    id: str
    name: str
    hint: str
    scopes: list[Scope]
    created_at: str
    expires_at: str | None
    rotated_at: str | None
    retired_secrets: list[RetiredSecret]
    last_used_at: str | None
    revoked_at: str | None
    links: dict[str, str]


class NewApiKey(ApiKey):
    """A key with its new secret, which is never shown again; None when the answer that showed it was lost on its way."""

    secret: str | None


class Quota(TypedDict):
    """How much one may have, None for any number, and has."""

    limit: int | None
    used: int


class Rate(TypedDict):
    """How many requests one key may send in a second in the long run, and at once; None for any number."""

    per_second: float | None
    burst: int | None


class AskingKey(TypedDict):
    """The key that asks."""

    id: str
    scopes: list[Scope]
    expires_at: str | None


class Quotas(TypedDict):
    """What one may have and has, and what the key that asks may do."""

    stored_bytes: Quota
    open_uploads: Quota
    unfinished_jobs: Quota
    jobs_per_day: Quota
    requests: Rate
    key: AskingKey
    links: dict[str, str]
