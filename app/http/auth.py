"""Authentication and authorization of requests by API key (`Authorization: Bearer iis_…` or the page's cookie) or by the token of a share
link, from headers alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import ARRAY, Connection, Engine, Text, any_, bindparam, func, null, or_, select, union_all, update
from sqlalchemy.orm import Session

from app.db.models import ApiKey, RetiredSecret
from app.errors import Unauthorized
from app.http.admission.admitted import admitted_of
from app.http.admission.known_keys import KnownKeys
from app.http.admission.refusals import over_capacity
from app.http.dependencies import settings_of
from app.http.key_text import checksum_holds, digest_of, secret_in
from app.http.page_cookie import authorization_of
from app.http.scopes import needed_scopes, require_scopes
from app.http.share_access import ShareRow, require_shared, require_unexpired, token_digest, token_in

LAST_USED_RESOLUTION = timedelta(minutes=1)
CONFIRMING_ROUTES = frozenset({("GET", "/v1/jobs/{job_id}")})
"""Routes whose own query confirms a known key (`app.http.key_confirmation`), so that a poll costs one query."""
UNKNOWN = "This API key is unknown or was revoked."


_GIVEN = any_(bindparam("digests", type_=ARRAY(Text)))
_COLUMNS = (ApiKey.owner_id, ApiKey.id, ApiKey.scopes, ApiKey.expires_at, ApiKey.last_used_at, ApiKey.revoked_at)
# Built once: to build a statement takes longer than PostgreSQL needs to run this one.
KEYS_OF_DIGESTS = union_all(
    select(ApiKey.digest, *_COLUMNS, null().label("retired_at")).where(ApiKey.digest == _GIVEN),
    select(RetiredSecret.digest, *_COLUMNS, RetiredSecret.expires_at.label("retired_at"))
    .join(ApiKey, RetiredSecret.key_id == ApiKey.id)
    .where(RetiredSecret.digest == _GIVEN),
)


@dataclass(frozen=True)
class Owner:
    """Owner of the API key of a request, with the key's scopes."""

    owner_id: str
    key_id: str
    scopes: frozenset[str]


@dataclass(frozen=True)
class KeyRow:
    """Row of an API key.

    Attributes
    ----------
    retired_at : when the secret that was sent stops working, None for the current one
    """

    owner_id: str
    key_id: str
    scopes: frozenset[str]
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    retired_at: datetime | None

    @property
    def use_is_outdated(self) -> bool:
        """Whether `last_used_at` is older than its resolution."""
        return self.last_used_at is None or self.last_used_at <= datetime.now(UTC) - LAST_USED_RESOLUTION


def find_keys(connection: Connection, digests: Sequence[str]) -> dict[str, KeyRow]:
    """Rows of API keys by the digest of a current or retired secret, in one query."""
    rows = connection.execute(KEYS_OF_DIGESTS, {"digests": list(digests)}).all()
    return {row[0]: KeyRow(row[1], row[2], frozenset(row[3]), *row[4:]) for row in rows}


def read_keys(engine: Engine, digests: Sequence[str]) -> Mapping[str, KeyRow]:
    """`find_keys` without a transaction, with the use of valid keys recorded once a minute."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        found = find_keys(connection, digests)
        outdated = sorted({row.key_id for row in found.values() if row.use_is_outdated and row.revoked_at is None})
        if outdated:
            _record_use(connection, outdated)
        return found


def authenticate(session: Session, authorization: str | None, api_key_secret: str) -> Owner:
    """Find the owner of the API key in an Authorization header, for callers that are not requests.

    Raises
    ------
    Unauthorized
        If the key is missing, unknown, revoked or expired, or its secret was replaced.
    """
    digest = _digest(authorization, api_key_secret)
    return require_valid(find_keys(session.connection(), [digest]).get(digest))


async def authenticate_request(request: Request, authorization: str | None, *, confirmed_by_route: bool = False) -> Owner:
    """Find the owner of the API key in an Authorization header; a made-up key costs no query.

    Parameters
    ----------
    confirmed_by_route : whether a key that an earlier request found valid costs no query here either

    Raises
    ------
    Unauthorized
        As `authenticate`.
    """
    keys = known_keys_of(request)
    digest = _digest(authorization, settings_of(request).api_key_secret)
    if (refusal := keys.refusal(digest)) is not None:
        raise Unauthorized(refusal.detail, code=refusal.code)
    known = keys.known_row(digest) if confirmed_by_route else None
    if known is not None and not known.use_is_outdated and known.retired_at is None:
        request.state.unconfirmed_digest = digest
        return require_valid(known)
    row = await keys.find(digest)
    try:
        owner = require_valid(row)
    except Unauthorized as error:
        keys.refuse(digest, error)
        raise
    if row is not None:
        keys.remember(digest, owner.owner_id, row)
    return owner


async def owner_of(request: Request) -> Owner:
    """Authenticate a request and check the scope that its route requires, before its body is read.

    Raises
    ------
    Unauthorized
    Forbidden
        If the key lacks the required scope, or another site's page sent the request.
    Unavailable
        If the owner has too many requests in progress.
    NotFound
        If the token of a share link is sent, and the link does not show this.
    """
    token = token_in(request.headers.get("authorization"))
    if token is not None:
        return await _visitor(request, token)
    route = request.method, request.scope["route"].path
    owner = await authenticate_request(request, authorization_of(request), confirmed_by_route=route in CONFIRMING_ROUTES)
    request.state.authenticated_owner_id = owner.owner_id  # for app.rate_limits
    require_scopes(owner.scopes, needed_scopes(*route))
    if not admitted_of(request).count_as_owner(owner.owner_id):
        raise over_capacity()
    return owner


async def _visitor(request: Request, token: str) -> Owner:
    """Owner of a share link, for a request that the link may make."""
    shares = cast("KnownKeys[ShareRow]", request.app.state.known_shares)
    digest = token_digest(token, settings_of(request).api_key_secret)
    if (refusal := shares.refusal(digest)) is not None:
        raise Unauthorized(refusal.detail, code=refusal.code)
    try:
        share = require_unexpired(await shares.find(digest))
    except Unauthorized as error:
        shares.refuse(digest, error)
        raise
    request.state.share = share
    request.state.authenticated_owner_id = share.owner_id  # for app.rate_limits
    require_shared(share, request)
    return Owner(owner_id=share.owner_id, key_id=share.id, scopes=frozenset(("read",)))


def _digest(authorization: str | None, api_key_secret: str) -> str:
    secret = secret_in(authorization)
    if secret is None:
        raise Unauthorized("Send an API key in the header Authorization: Bearer iis_…")
    if checksum_holds(secret, api_key_secret) is False:
        raise Unauthorized(UNKNOWN)
    return digest_of(secret, api_key_secret)


def require_valid(key: KeyRow | None) -> Owner:
    """Owner of a key.

    Raises
    ------
    Unauthorized
        If the key is unknown, revoked or expired, or its secret was replaced.
    """
    now = datetime.now(UTC)
    if key is None:
        raise Unauthorized(UNKNOWN)
    if key.retired_at is not None and key.retired_at <= now:
        raise Unauthorized(
            f"This secret of API key {key.key_id} was replaced and expired on {_moment(key.retired_at)}; use the new secret.",
            code="api_key_expired",
        )
    if key.revoked_at is not None:
        raise Unauthorized(UNKNOWN)
    if key.expires_at is not None and key.expires_at <= now:
        raise Unauthorized(f"This API key expired on {_moment(key.expires_at)}; use another one.", code="api_key_expired")
    return Owner(owner_id=key.owner_id, key_id=key.key_id, scopes=key.scopes)


def _record_use(connection: Connection, key_ids: Sequence[str]) -> None:
    """Update `last_used_at`; skip rows that another request is updating."""
    outdated = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= datetime.now(UTC) - LAST_USED_RESOLUTION)
    unlocked = select(ApiKey.id).where(ApiKey.id.in_(key_ids), outdated).with_for_update(skip_locked=True)
    connection.execute(update(ApiKey).where(ApiKey.id.in_(unlocked.scalar_subquery())).values(last_used_at=func.now()))


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d at %H:%M UTC}"


def known_keys_of(request: Request) -> KnownKeys[KeyRow]:
    """API keys that this process has looked up."""
    return cast("KnownKeys[KeyRow]", request.app.state.known_keys)


_bearer = HTTPBearer(auto_error=False, description="An API key, `iis_…`.")


async def current_owner(request: Request, _credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Owner:
    """Owner that `app.http.routes` found before it read the body."""
    return cast("Owner", request.state.owner)


OwnerDep = Annotated[Owner, Depends(current_owner)]
