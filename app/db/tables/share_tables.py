"""Table of share links. app.http.share_access reads it to authenticate their tokens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Json, created_at_column


class Share(Base):
    """Read-only access to one result, concept, image or study without an API key. It is deleted when it is revoked."""

    __tablename__ = "shares"
    __table_args__ = (
        CheckConstraint("kind IN ('result', 'concept', 'image', 'study')", name="kind"),
        CheckConstraint("(kind = 'study') = (study_id IS NOT NULL) AND (kind = 'study') = (job_id IS NULL)", name="target"),
        Index("ix_shares_owner_id_id", "owner_id", "id"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)  # shr_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    kind: Mapped[str]
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    study_id: Mapped[str | None] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    concept: Mapped[int | None]
    image: Mapped[int | None]  # index of a test image
    # What the page of a concept or image shows, fixed at creation: {library, crops, images, concepts, query}; empty for the other kinds.
    contents: Mapped[Json]
    digest: Mapped[str] = mapped_column(unique=True)  # HMAC-SHA256 of the token in hex; the token is never stored
    hint: Mapped[str]  # last four characters of the token
    created_at: Mapped[datetime] = created_at_column()
    expires_at: Mapped[datetime] = mapped_column(index=True)
    last_used_at: Mapped[datetime | None]  # resolution of a minute; null if never used
