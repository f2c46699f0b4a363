"""How uploads go whose time is over, and what they leave in storage. Workers run it; it knows every owner's."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.storage import ArtifactStore
from app.uploads.repository import lock_one_expired, lock_one_unused, open_upload_ids

ABANDONED_WRITE_SECONDS = 24 * 3600.0


def expire_uploads(session: Session, store: ArtifactStore) -> int:
    """Drop open uploads whose time is over, parts first, one transaction each; returns how many went. Commits.

    Also drops what else nobody needs: parts of uploads that are complete or gone, and files that were never finished.
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
    """Drop complete uploads whose time is over and that nothing was made of, one transaction each; returns how many went. Commits.

    Their content goes with `app.storage.garbage_collection`, unless something else refers to it.
    """
    gone = 0
    while (upload := lock_one_unused(session, datetime.now(UTC))) is not None:
        session.delete(upload)
        session.commit()
        gone += 1
    session.rollback()
    return gone


def _remove_leftover_parts(session: Session, store: ArtifactStore) -> None:
    """Drop parts without an open upload. Storage is read before the rows: parts come after their upload, which never opens again."""
    kept = store.uploads_with_parts()
    if not kept:
        return
    needed = open_upload_ids(session)
    session.rollback()
    for upload_id in kept - needed:
        store.delete_parts(upload_id)
