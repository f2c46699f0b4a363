"""All SQL of owners and their API keys."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.db.models import ApiKey, Owner
from app.db.repository import OwnedRepository

FIRST_KEY_LOCK = 7_346_118_002  # any number; processes that start together make one first key


class ApiKeyRepository(OwnedRepository[ApiKey]):
    """Keys of one owner."""

    table = ApiKey
    noun = "API key"

    def revoke(self, key_id: str) -> ApiKey:
        """Close a key for good; the row stays, so that a person can see when."""
        key = self.get(key_id)
        if key.revoked_at is None:
            key.revoked_at = datetime.now(UTC)
            self.session.flush()
        return key

    def lock_usable(self) -> int:
        """How many keys of this owner still open the door; none of them changes before this transaction ends."""
        return len(self.session.scalars(self.owned().where(ApiKey.revoked_at.is_(None)).order_by(ApiKey.id).with_for_update()).all())


def any_owner(session: Session) -> Owner | None:
    """The first owner there is, under a lock that lets one process at a time make the first key."""
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": FIRST_KEY_LOCK})
    return session.scalar(select(Owner).order_by(Owner.created_at, Owner.id).limit(1))


def add_owner(session: Session, owner: Owner) -> Owner:
    session.add(owner)
    session.flush()
    return owner
