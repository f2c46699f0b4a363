"""Authentication by the token of a share link, and the addresses that a link may read: those that its page shows, and no others."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import Request
from sqlalchemy import Connection, Engine, func, or_, select, update

from app.db.models import Share
from app.errors import NotFound, Unauthorized
from app.http.key_text import digest_of

TOKEN_PREFIX = "iisshare_"  # noqa: S105 (prefix of all tokens, not a secret)
RANDOM_BYTES = 32
LAST_USED_RESOLUTION = timedelta(minutes=1)
UNKNOWN = "This link is unknown, was revoked or has expired; ask its sender for another one."
NO_STORE = {"Cache-Control": "private, no-store", "X-Robots-Tag": "noindex, nofollow"}
"""Headers of answers to a token: a revoked link leaves nothing in a cache."""

_JOB = "/v1/jobs/{job_id}"
_IMAGE = f"{_JOB}/explanations/{{image}}"
_CROP = "/v1/concept-libraries/{library_id}/exemplars/{crop}"
_SHARE = "/v1/shares/{share_id}"
_STUDY = "/v1/studies/{study_id}"
RESULT_ROUTES = frozenset(
    f"{_JOB}/{name}" for name in ("result", "curves", "plots", "plots/{name}.{plot_format}", "concept-metrics", "classes")
)
STUDY_ROUTES = frozenset(
    f"{_STUDY}/{name}" for name in ("table", "table.csv", "table.parquet", "analysis", "figures/{figure}.{figure_format}")
)


@dataclass(frozen=True)
class ShareRow:
    """Row of a share link.

    Attributes
    ----------
    contents : as `app.db.models.Share.contents`
    """

    id: str
    owner_id: str
    kind: str
    job_id: str | None
    study_id: str | None
    concept: int | None
    image: int | None
    contents: Mapping[str, Any]
    expires_at: datetime
    last_used_at: datetime | None


def new_token() -> str:
    """A random token of a link."""
    return TOKEN_PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def token_in(authorization: str | None) -> str | None:
    """Token of a link in an Authorization header; None if it is not a bearer token with our prefix."""
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token.startswith(TOKEN_PREFIX) else None


def token_digest(token: str, api_key_secret: str) -> str:
    """Stored digest of a token; the prefix keeps it apart from digests of API keys."""
    return digest_of(token, api_key_secret)


def read_shares(engine: Engine, digests: Sequence[str]) -> Mapping[str, ShareRow]:
    """Unexpired links by the digests of their tokens, without a transaction; records their use once a minute."""
    columns = (Share.digest, *(getattr(Share, name) for name in ShareRow.__dataclass_fields__))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        rows = connection.execute(select(*columns).where(Share.digest.in_(digests), Share.expires_at > func.now())).all()
        found = {row[0]: ShareRow(*row[1:]) for row in rows}
        outdated = datetime.now(UTC) - LAST_USED_RESOLUTION
        used = [share.id for share in found.values() if share.last_used_at is None or share.last_used_at <= outdated]
        if used:
            _record_use(connection, used)
        return found


def require_unexpired(share: ShareRow | None) -> ShareRow:
    """The link that a token opens.

    Raises
    ------
    Unauthorized
        When there is none, or it has expired.
    """
    if share is None or share.expires_at <= datetime.now(UTC):
        raise Unauthorized(UNKNOWN, code="share_unknown")
    return share


def require_shared(share: ShareRow, request: Request) -> None:
    """Check that a link may read the address of a request.

    Raises
    ------
    NotFound
        Alike for everything else, whether it exists or not.
    """
    if not is_shared(share, request.method, request.scope["route"].path, request.path_params, request.query_params.multi_items()):
        raise NotFound("This link does not show that.", code="not_shared")


def is_shared(share: ShareRow, method: str, route: str, path: Mapping[str, Any], query: Sequence[tuple[str, str]]) -> bool:
    """Whether a link may read an address.

    Parameters
    ----------
    route : path template with parameters in braces
    path : values of these parameters
    """
    if method != "GET":
        return False
    if route == _SHARE:
        return path["share_id"] == share.id
    if share.kind == "study":
        return route in STUDY_ROUTES and path["study_id"] == share.study_id
    if route == _CROP:
        return path["library_id"] == share.contents.get("library") and path["crop"] in _texts(share, "crops")
    return path.get("job_id") == share.job_id and _OF_JOB[share.kind](share, route, path, query)


def _of_result(share: ShareRow, route: str, path: Mapping[str, Any], query: Sequence[tuple[str, str]]) -> bool:
    return route in RESULT_ROUTES


def _of_concept(share: ShareRow, route: str, path: Mapping[str, Any], query: Sequence[tuple[str, str]]) -> bool:
    if route == f"{_JOB}/concepts/{{concept}}":
        return path["concept"] == str(share.concept) and not query
    return _is_picture(share, route, path)


def _of_image(share: ShareRow, route: str, path: Mapping[str, Any], query: Sequence[tuple[str, str]]) -> bool:
    if route == _IMAGE:
        return path["image"] == str(share.image) and sorted(query) == sorted(share.contents["query"].items())
    if route == f"{_IMAGE}/heatmaps":
        concepts = [value for name, value in query if name == "concepts"]
        return path["image"] == str(share.image) and len(concepts) == len(query) and set(concepts) <= set(_texts(share, "concepts"))
    return _is_picture(share, route, path)


_OF_JOB = {"result": _of_result, "concept": _of_concept, "image": _of_image}


def _is_picture(share: ShareRow, route: str, path: Mapping[str, Any]) -> bool:
    """Whether the route is one of the link's images, or a heat map of one of its concepts on them."""
    if path.get("image") not in _texts(share, "images"):
        return False
    is_map = route == f"{_IMAGE}/heatmaps/{{concept}}.png" and path["concept"] in _texts(share, "concepts")
    return is_map or route == f"{_IMAGE}/image.png"


def _texts(share: ShareRow, name: str) -> list[str]:
    return [str(one) for one in share.contents.get(name, ())]


def _record_use(connection: Connection, share_ids: Sequence[str]) -> None:
    """Update `last_used_at`; skip rows that another request is updating."""
    outdated = or_(Share.last_used_at.is_(None), Share.last_used_at <= datetime.now(UTC) - LAST_USED_RESOLUTION)
    unlocked = select(Share.id).where(Share.id.in_(share_ids), outdated).with_for_update(skip_locked=True)
    connection.execute(update(Share).where(Share.id.in_(unlocked.scalar_subquery())).values(last_used_at=func.now()))
