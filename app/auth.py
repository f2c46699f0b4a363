"""Who is asking: `Authorization: Bearer iis_…`, or the page's cookie, to an owner. Making and revoking keys is app.api_keys."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.browser import authorization_of
from app.db.models import ApiKey
from app.dependencies import SessionDep, SettingsDep
from app.errors import Unauthorized

SECRET_PREFIX = "iis_"  # noqa: S105 (how every key begins, no secret)


@dataclass(frozen=True)
class Owner:
    """Whose rows this request may see."""

    owner_id: str
    key_id: str


def digest_of(secret: str, settings_secret: str) -> str:
    """What is stored of an API key: HMAC-SHA256 under the service's own secret, so that a stolen table opens nothing."""
    return hmac.new(settings_secret.encode(), secret.encode(), sha256).hexdigest()


def authenticate(session: Session, authorization: str | None, api_key_secret: str) -> Owner:
    """Find the owner behind an Authorization header, or raise `Unauthorized`."""
    scheme, _, secret = (authorization or "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret.startswith(SECRET_PREFIX):
        raise Unauthorized("Send your API key in the header Authorization: Bearer iis_…")
    statement = select(ApiKey.owner_id, ApiKey.id).where(ApiKey.digest == digest_of(secret, api_key_secret), ApiKey.revoked_at.is_(None))
    found = session.execute(statement).first()
    if found is None:
        raise Unauthorized("This API key is unknown or was revoked.")
    return Owner(owner_id=found[0], key_id=found[1])


_bearer = HTTPBearer(auto_error=False, description="An API key, `iis_…`.")


def _current_owner(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    _credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Owner:
    known: Owner | None = getattr(request.state, "owner", None)
    return known or authenticate(session, authorization_of(request), settings.api_key_secret)


OwnerDep = Annotated[Owner, Depends(_current_owner)]
