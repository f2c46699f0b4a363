"""The rows that say which content is held in storage."""

from __future__ import annotations

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.models import Blob


def record_blob(session: Session, sha256: str, size_bytes: int) -> None:
    """Note that storage holds this content; harmless when it is noted already."""
    session.execute(insert(Blob).values(sha256=sha256, size_bytes=size_bytes).on_conflict_do_nothing())
