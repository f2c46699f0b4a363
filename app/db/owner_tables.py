"""Tables of owners and API keys. Scopes are defined in app.http.scopes, keys are matched in app.http.auth."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.base import Base, created_at_column


class Owner(Base):
    """Whose rows they are. Quotas here stand in place of the service's own: null for the same, 0 for no limit."""

    __tablename__ = "owners"
    id: Mapped[str] = mapped_column(primary_key=True)  # own_…
    name: Mapped[str]
    quota_stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    quota_open_uploads: Mapped[int | None]
    quota_unfinished_jobs: Mapped[int | None]
    quota_jobs_per_day: Mapped[int | None]
    created_at: Mapped[datetime] = created_at_column()


class ApiKey(Base):
    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint("scopes <@ ARRAY['read', 'write', 'admin'] AND cardinality(scopes) > 0", name="scopes"),)
    id: Mapped[str] = mapped_column(primary_key=True)  # key_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)  # HMAC-SHA256 of the secret, hex; the secret itself is never stored
    hint: Mapped[str]  # last four characters, so that a person can tell keys apart
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = created_at_column()
    expires_at: Mapped[datetime | None]  # never, unless given
    rotated_at: Mapped[datetime | None]  # when it got the secret that it has now, where that is not its first
    last_used_at: Mapped[datetime | None]  # to the minute
    revoked_at: Mapped[datetime | None]
    retired_secrets: Mapped[list[RetiredSecret]] = relationship(order_by="RetiredSecret.expires_at.desc()", viewonly=True, lazy="selectin")


class RetiredSecret(Base):
    """A secret that a key had before it was rotated, and that still opens the door for a while."""

    __tablename__ = "retired_secrets"
    digest: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), index=True)
    hint: Mapped[str]
    expires_at: Mapped[datetime]
