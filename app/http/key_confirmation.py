"""Confirm a known API key within the query of a route, so that a poll costs one query and a revoked key is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request
from sqlalchemy import ColumnElement, exists, func, or_
from sqlalchemy.orm import Session

from app.db.models import ApiKey
from app.errors import Unauthorized
from app.http.auth import find_keys, known_keys_of, require_valid


@dataclass(frozen=True)
class UnconfirmedKey:
    """API key of a request that an earlier request found valid.

    Attributes
    ----------
    forget : make the next request look the key up by itself
    """

    digest: str
    owner_id: str
    forget: Callable[[], None]

    @property
    def is_valid(self) -> ColumnElement[bool]:
        """SQL condition: the key has this secret, and is neither revoked nor expired."""
        lasting = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
        return exists().where(ApiKey.digest == self.digest, ApiKey.owner_id == self.owner_id, ApiKey.revoked_at.is_(None), lasting)

    def require(self, session: Session) -> None:
        """Look the key up where `is_valid` may have failed.

        Raises
        ------
        Unauthorized
        """
        try:
            require_valid(find_keys(session.connection(), [self.digest]).get(self.digest))
        except Unauthorized:
            self.forget()
            raise


def unconfirmed_key(request: Request) -> UnconfirmedKey | None:
    """The key that the route of a request has to confirm; None where it was looked up."""
    digest: str | None = getattr(request.state, "unconfirmed_digest", None)
    if digest is None:
        return None
    keys = known_keys_of(request)
    return UnconfirmedKey(digest, request.state.owner.owner_id, lambda: keys.forget(digest))
