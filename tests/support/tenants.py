"""Owners and their API keys, as rows and as request headers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.db.ids import new_id
from app.db.models import ApiKey, Owner
from app.db.session import SessionFactory
from app.http.key_text import digest_of, new_key
from app.settings import Settings


@dataclass(frozen=True)
class Tenant:
    """An owner with an API key."""

    owner_id: str
    headers: dict[str, str] = field(repr=False)


def add_owner(sessions: SessionFactory, owner_id: str | None = None, name: str = "tests") -> str:
    """Create an owner; returns its id."""
    owner = Owner(id=owner_id or new_id("owner"), name=name)
    with sessions.begin() as session:
        session.add(owner)
    return owner.id


def add_tenant(sessions: SessionFactory, settings: Settings) -> Tenant:
    """Create an owner and a key of all scopes."""
    owner_id = add_owner(sessions, name="A tenant")
    return Tenant(owner_id, add_key(sessions, settings, owner_id, "read", "write", "admin", name="first"))


def add_key(sessions: SessionFactory, settings: Settings, owner_id: str, *scopes: str, **columns: Any) -> dict[str, str]:
    """Create a key of an owner; returns its request headers."""
    secret = new_key(settings.api_key_secret)
    digest = digest_of(secret, settings.api_key_secret)
    columns = {"name": "key", **columns}
    with sessions.begin() as session:
        session.add(ApiKey(id=new_id("api_key"), owner_id=owner_id, digest=digest, hint=secret[-4:], scopes=list(scopes), **columns))
    return {"Authorization": f"Bearer {secret}"}
