"""Making keys and revoking them. How a request is matched to a key is app.auth."""

from __future__ import annotations

import secrets

from sqlalchemy.orm import Session

from app.api_keys.repository import ApiKeyRepository, add_owner, any_owner
from app.auth import SECRET_PREFIX, digest_of
from app.db.ids import new_id
from app.db.models import ApiKey, Owner
from app.errors import Conflict
from app.settings import Settings

SECRET_BYTES = 32
HINT_CHARACTERS = 4


def create_owner(session: Session, name: str) -> Owner:
    """Add an owner; whoever operates the service does this, no route does."""
    return add_owner(session, Owner(id=new_id("owner"), name=name))


def create_key(session: Session, owner_id: str, name: str, settings: Settings) -> tuple[ApiKey, str]:
    """Add a key and return it with its secret, which exists nowhere else from then on."""
    secret = SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    key = ApiKey(
        id=new_id("api_key"),
        owner_id=owner_id,
        name=name,
        digest=digest_of(secret, settings.api_key_secret),
        hint=secret[-HINT_CHARACTERS:],
    )
    return ApiKeyRepository(session, owner_id).add(key), secret


def revoke_key(session: Session, owner_id: str, key_id: str) -> None:
    """Revoke a key; revoking it again changes nothing.

    Raises
    ------
    Conflict
        For an owner's last usable key: nobody could make another.
    """
    keys = ApiKeyRepository(session, owner_id)
    usable = keys.lock_usable()
    if keys.get(key_id).revoked_at is None and usable == 1:
        raise Conflict("This is your last usable API key; make another before you revoke it.", code="last_api_key")
    keys.revoke(key_id)


def ensure_first_key(session: Session, settings: Settings, owner_name: str = "owner") -> str | None:
    """Make an owner and a key where there is no owner yet; commits, and returns the secret or None when someone was first."""
    if any_owner(session) is not None:
        session.rollback()
        return None
    owner = create_owner(session, owner_name)
    _, secret = create_key(session, owner.id, "first key", settings)
    session.commit()
    return secret
