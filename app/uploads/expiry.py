"""Delete expired uploads of all owners, and their parts in storage. Workers run this."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.storage import ArtifactStore
from app.uploads.repository import lock_one_expired, lock_one_unused, open_upload_ids

ABANDONED_WRITE_SECONDS = 24 * 3600.0


def expire_uploads(session: Session, store: ArtifactStore) -> int:
    """Delete expired open uploads, parts first, one transaction each; returns their number. Commits.

    Also deletes parts of complete or deleted uploads, and unfinished files.
    """
    gone = 0
    while (upload := lock_one_expired(session, datetime.now(UTC))) is not None:
        store.delete_parts(upload.id)
        session.delete(upload)
        session.commit()
        gone += 1
    session.rollback()
    _remove_leftover_parts(session, store)
    store.sweep_temporary(ABANDONED_WRITE_SECONDS)
    return gone


def drop_unused_uploads(session: Session) -> int:
    """Delete expired complete uploads that are not in use, one transaction each; returns their number. Commits.

    Their content is deleted by `app.storage.garbage_collection`, unless something else refers to it.
    """
    gone = 0
    while (upload := lock_one_unused(session, datetime.now(UTC))) is not None:
        session.delete(upload)
        session.commit()
        gone += 1
    session.rollback()
    return gone


def _remove_leftover_parts(session: Session, store: ArtifactStore) -> None:
    """Delete parts without an open upload. Storage is listed before the rows are read: an upload is older than its parts."""
    kept = store.uploads_with_parts()
    if not kept:
        return
    needed = open_upload_ids(session)
    session.rollback()
    for upload_id in kept - needed:
        store.delete_parts(upload_id)
