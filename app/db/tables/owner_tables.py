"""Tables of owners and API keys. app.http.scopes defines scopes, app.http.auth verifies keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.base import Base, created_at_column


class Owner(Base):
    """Tenant. Its quotas and retention periods override the settings: null for the default, 0 for no limit."""

    __tablename__ = "owners"
    id: Mapped[str] = mapped_column(primary_key=True)  # own_…
    name: Mapped[str]
    quota_stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    quota_open_uploads: Mapped[int | None]
    quota_unfinished_jobs: Mapped[int | None]
    quota_jobs_per_day: Mapped[int | None]
    quota_pending_validations: Mapped[int | None]
    retention_results_days: Mapped[int | None]
    retention_failed_jobs_days: Mapped[int | None]
    retention_events_days: Mapped[int | None]
    retention_deleted_days: Mapped[int | None]
    created_at: Mapped[datetime] = created_at_column()


class ApiKey(Base):
    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint("scopes <@ ARRAY['read', 'write', 'admin'] AND cardinality(scopes) > 0", name="scopes"),)
    id: Mapped[str] = mapped_column(primary_key=True)  # key_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)  # HMAC-SHA256 of the secret in hex; the secret is never stored
    hint: Mapped[str]  # last four characters, to recognise the key
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = created_at_column()
    expires_at: Mapped[datetime | None]  # null for a key that does not expire
    rotated_at: Mapped[datetime | None]  # when the current secret was created; null for the first one
    last_used_at: Mapped[datetime | None]  # resolution of a minute; null if never used
    revoked_at: Mapped[datetime | None]
    retired_secrets: Mapped[list[RetiredSecret]] = relationship(order_by="RetiredSecret.expires_at.desc()", viewonly=True, lazy="selectin")


class RetiredSecret(Base):
    """Earlier secret of a rotated key, valid until `expires_at`."""

    __tablename__ = "retired_secrets"
    digest: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), index=True)
    hint: Mapped[str]
    expires_at: Mapped[datetime]
