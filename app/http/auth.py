"""Authentication and authorization of requests by API key (`Authorization: Bearer iis_…` or the page's cookie)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from app.db.models import ApiKey, RetiredSecret
from app.errors import Unauthorized
from app.http.dependencies import SessionDep, SettingsDep
from app.http.page_cookie import authorization_of
from app.http.scopes import needed_scope, require_scope
from app.settings import Settings

SECRET_PREFIX = "iis_"  # noqa: S105 (prefix of all keys, not a secret)
LAST_USED_RESOLUTION = timedelta(minutes=1)


@dataclass(frozen=True)
class Owner:
    """Owner of the API key of a request, with the key's scopes."""

    owner_id: str
    key_id: str
    scopes: frozenset[str]


def digest_of(secret: str, settings_secret: str) -> str:
    """Stored digest of an API key: HMAC-SHA256 under the service's secret, so that a leaked table contains no usable key."""
    return hmac.new(settings_secret.encode(), secret.encode(), sha256).hexdigest()


def secret_in(authorization: str | None) -> str | None:
    """API key of an Authorization header; None if it is not a bearer token with our prefix."""
    scheme, _, secret = (authorization or "").partition(" ")
    secret = secret.strip()
    return secret if scheme.lower() == "bearer" and secret.startswith(SECRET_PREFIX) else None


def authenticate(session: Session, authorization: str | None, api_key_secret: str) -> Owner:
    """Find the owner of the API key in an Authorization header and record its use. Call it first in a transaction: it may commit.

    Raises
    ------
    Unauthorized
        If the key is missing, unknown, revoked or expired, or its secret was replaced.
    """
    secret = secret_in(authorization)
    if secret is None:
        raise Unauthorized("Send an API key in the header Authorization: Bearer iis_…")
    digest = digest_of(secret, api_key_secret)
    now = datetime.now(UTC)
    columns = ApiKey.owner_id, ApiKey.id, ApiKey.scopes, ApiKey.expires_at, ApiKey.last_used_at, ApiKey.revoked_at
    key = session.execute(select(*columns).where(ApiKey.digest == digest)).first()
    if key is None:
        key = _by_retired_secret(session, digest, columns, now)
    if key is None or key.revoked_at is not None:
        raise Unauthorized("This API key is unknown or was revoked.")
    if key.expires_at is not None and key.expires_at <= now:
        raise Unauthorized(f"This API key expired on {_moment(key.expires_at)}; use another one.", code="api_key_expired")
    if key.last_used_at is None or key.last_used_at <= now - LAST_USED_RESOLUTION:
        _record_use(session, key.id, now)
    return Owner(owner_id=key.owner_id, key_id=key.id, scopes=frozenset(key.scopes))


def owner_of(request: Request, session: Session, settings: Settings) -> Owner:
    """Authenticate a request and check the scope that its route requires.

    Raises
    ------
    Unauthorized
    Forbidden
        If the key lacks the required scope, or another site's page sent the request.
    """
    owner = authenticate(session, authorization_of(request), settings.api_key_secret)
    request.state.authenticated = True  # for app.rate_limits
    require_scope(owner.scopes, needed_scope(request.method, request.scope["route"].path))
    return owner


def _by_retired_secret(session: Session, digest: str, columns: tuple[Any, ...], now: datetime) -> Any:
    found = session.execute(
        select(*columns, RetiredSecret.expires_at.label("ended_at"))
        .join(RetiredSecret, RetiredSecret.key_id == ApiKey.id)
        .where(RetiredSecret.digest == digest)
    ).first()
    if found is not None and found.ended_at <= now:
        raise Unauthorized(
            f"This secret of API key {found.id} was replaced and expired on {_moment(found.ended_at)}; use the new secret.",
            code="api_key_expired",
        )
    return found


def _record_use(session: Session, key_id: str, now: datetime) -> None:
    """Update `last_used_at` in a separate transaction; skip it if another request is updating the row."""
    outdated = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= now - LAST_USED_RESOLUTION)
    unlocked = select(ApiKey.id).where(ApiKey.id == key_id, outdated).with_for_update(skip_locked=True).scalar_subquery()
    session.execute(
        update(ApiKey).where(ApiKey.id == unlocked).values(last_used_at=func.now()).execution_options(synchronize_session=False)
    )
    session.commit()


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d at %H:%M UTC}"


_bearer = HTTPBearer(auto_error=False, description="An API key, `iis_…`.")


def _current_owner(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    _credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Owner:
    known: Owner | None = getattr(request.state, "owner", None)
    return known or owner_of(request, session, settings)


OwnerDep = Annotated[Owner, Depends(_current_owner)]
