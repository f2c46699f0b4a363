"""All SQL of owners and their API keys."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from app.db.models import ApiKey, Owner, RetiredSecret
from app.db.repository import OwnedRepository

FIRST_KEY_LOCK = 7_346_118_002  # any number; processes that start together create one first key


class ApiKeyRepository(OwnedRepository[ApiKey]):
    """Keys of one owner."""

    table = ApiKey
    noun = "API key"

    def lock_count(self) -> int:
        """Number of this owner's keys, revoked ones included; no other is added until this transaction ends."""
        self.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"keys {self.owner_id}", 0))))
        return self.session.scalar(select(func.count(ApiKey.id)).where(ApiKey.owner_id == self.owner_id)) or 0

    def revoke(self, key_id: str) -> ApiKey:
        """Revoke a key; the row stays, with the time."""
        key = self.get(key_id)
        if key.revoked_at is None:
            key.revoked_at = datetime.now(UTC)
            self.session.flush()
        return key

    def lock_lasting(self) -> list[str]:
        """Ids of the admin keys of this owner that do not expire, locked until this transaction ends."""
        lasting = (ApiKey.revoked_at.is_(None), ApiKey.expires_at.is_(None), ApiKey.scopes.contains(["admin"]))
        statement = select(ApiKey.id).where(ApiKey.owner_id == self.owner_id, *lasting).order_by(ApiKey.id).with_for_update()
        return list(self.session.scalars(statement))

    def replace_secret(self, key: ApiKey, digest: str, hint: str, retired_until: datetime) -> ApiKey:
        """Replace the secret of a key; earlier ones are accepted until `retired_until` at the latest."""
        secrets = RetiredSecret.key_id == key.id
        now = datetime.now(UTC)
        self.session.execute(delete(RetiredSecret).where(secrets, RetiredSecret.expires_at <= now))
        self.session.execute(
            update(RetiredSecret).where(secrets, RetiredSecret.expires_at > retired_until).values(expires_at=retired_until)
        )
        self.session.add(RetiredSecret(digest=key.digest, key_id=key.id, hint=key.hint, expires_at=retired_until))
        key.digest, key.hint, key.rotated_at = digest, hint, now
        self.session.flush()
        self.session.refresh(key)
        return key


def any_owner(session: Session) -> Owner | None:
    """The first owner, under a lock that lets one process at a time create the first key."""
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": FIRST_KEY_LOCK})
    return session.scalar(select(Owner).order_by(Owner.created_at, Owner.id).limit(1))


def add_owner(session: Session, owner: Owner) -> Owner:
    session.add(owner)
    session.flush()
    return owner
