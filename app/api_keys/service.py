"""Create, rotate and revoke API keys. Authentication of requests: app.http.auth."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from app.api_keys.repository import ApiKeyRepository, add_owner, any_owner
from app.db.ids import new_id
from app.db.models import ApiKey, Owner
from app.errors import Conflict, Forbidden, InvalidInput, QuotaExceeded
from app.http.auth import Owner as Asking
from app.http.key_text import digest_of, new_key
from app.http.scopes import SCOPES, in_order
from app.settings import Settings
from iis_schemas.api_keys import ApiKeyCreate

HINT_CHARACTERS = 4
MAX_KEYS = 500


def create_owner(session: Session, name: str) -> Owner:
    """Add an owner; only an operator does this, no route."""
    return add_owner(session, Owner(id=new_id("owner"), name=name))


def create_key(
    session: Session,
    owner_id: str,
    name: str,
    settings: Settings,
    scopes: Collection[str] = SCOPES,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Add a key and return it with its secret, which is not stored."""
    secret = new_key(settings.api_key_secret)
    key = ApiKey(
        id=new_id("api_key"),
        owner_id=owner_id,
        name=name,
        digest=digest_of(secret, settings.api_key_secret),
        hint=secret[-HINT_CHARACTERS:],
        scopes=list(in_order(scopes)),
        expires_at=expires_at,
    )
    return ApiKeyRepository(session, owner_id).add(key), secret


def create_key_by(session: Session, asking: Asking, request: ApiKeyCreate, settings: Settings) -> tuple[ApiKey, str]:
    """Create a key for the owner of the request, with the scopes of the requesting key unless fewer are named.

    Raises
    ------
    Forbidden
        For a scope that the asking key lacks.
    InvalidInput
        When the new key would be expired already.
    QuotaExceeded
        When the owner has `MAX_KEYS`.
    """
    scopes = asking.scopes if request.scopes is None else frozenset(request.scopes)
    _require_held(asking, scopes, param="scopes")
    if request.expires_at is not None and request.expires_at <= datetime.now(UTC):
        raise InvalidInput("expires_at is in the past; give a moment to come, or leave it out.", param="expires_at")
    if (count := ApiKeyRepository(session, asking.owner_id).lock_count()) >= MAX_KEYS:
        raise QuotaExceeded(
            f"You have {count} API keys, revoked and expired ones included, and {MAX_KEYS} are allowed; rotate one that you have, or wait:"
            " ended keys are removed after the retention period of deleted resources."
        )
    return create_key(session, asking.owner_id, request.name, settings, scopes, request.expires_at)


def rotate_key(session: Session, asking: Asking, key_id: str, grace_seconds: float, settings: Settings) -> tuple[ApiKey, str]:
    """Replace the secret of a key and return the new one; all earlier ones expire after `grace_seconds` at the latest.

    Raises
    ------
    NotFound
    Forbidden
        When the key may do what the asking one may not: its new secret would be a way around that.
    Conflict
        For a key that was revoked or has expired.
    """
    keys = ApiKeyRepository(session, asking.owner_id)
    key = keys.get(key_id, for_update=True)
    now = datetime.now(UTC)
    if key.revoked_at is not None:
        raise Conflict(f"API key {key_id} was revoked; create another one.", code="api_key_revoked")
    if key.expires_at is not None and key.expires_at <= now:
        raise Conflict(f"API key {key_id} has expired, which a new secret does not change; create another key.", code="api_key_expired")
    _require_held(asking, key.scopes)
    secret = new_key(settings.api_key_secret)
    digest = digest_of(secret, settings.api_key_secret)
    return keys.replace_secret(key, digest, secret[-HINT_CHARACTERS:], now + timedelta(seconds=grace_seconds)), secret


def revoke_key(session: Session, owner_id: str, key_id: str) -> None:
    """Revoke a key; revoking it again changes nothing.

    Raises
    ------
    Conflict
        For an owner's last admin key that does not expire, without which no other key could be created.
    """
    keys = ApiKeyRepository(session, owner_id)
    if keys.lock_lasting() == [key_id]:
        raise Conflict(
            "This is your last API key with the scope admin that does not expire; create another such key before you revoke it.",
            code="last_api_key",
        )
    keys.revoke(key_id)


def ensure_first_key(session: Session, settings: Settings, owner_name: str = "owner") -> str | None:
    """Create an owner and a key where there is no owner yet; commits, and returns the secret, or None where another process was first."""
    if any_owner(session) is not None:
        session.rollback()
        return None
    owner = create_owner(session, owner_name)
    _, secret = create_key(session, owner.id, "first key", settings)
    session.commit()
    return secret


def _require_held(asking: Asking, scopes: Collection[str], param: str | None = None) -> None:
    lacking = in_order(set(scopes) - asking.scopes)
    if lacking:
        raise Forbidden(
            f"A key can only grant scopes that it has, and this one lacks {' and '.join(lacking)}; use a key that has it.",
            code="scope_missing",
            param=param,
        )
