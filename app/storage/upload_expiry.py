"""Delete expired uploads of all owners, and parts in storage that belong to no open upload. Workers run it during maintenance."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session

from app.db.models import FINISHED_STATES, Base, Job, Upload, UploadPart
from app.db.session import let_idle
from app.storage.store import ArtifactStore

ABANDONED_WRITE_SECONDS = 24 * 3600.0


def expire_uploads(session: Session, store: ArtifactStore) -> int:
    """Delete open uploads that have expired, parts first, one transaction each; returns their number. Commits.

    Also deletes parts of complete and deleted uploads, and temporary files of unfinished writes.
    """
    count = 0
    while (upload := _lock_one_expired(session, datetime.now(UTC))) is not None:
        let_idle(session)
        store.delete_parts(upload.id)
        session.delete(upload)
        session.commit()
        count += 1
    session.rollback()
    _delete_leftover_parts(session, store)
    store.sweep_temporary(ABANDONED_WRITE_SECONDS)
    return count


def drop_unused_uploads(session: Session) -> int:
    """Delete complete uploads that have expired and are not used, one transaction each; returns their number. Commits.

    `app.storage.garbage_collection` deletes their content, unless something else refers to it.
    """
    count = 0
    while (upload := _lock_one_unused(session, datetime.now(UTC))) is not None:
        session.delete(upload)
        session.commit()
        count += 1
    session.rollback()
    return count


def is_used() -> ColumnElement[bool]:
    """Whether an upload is used: a foreign key refers to it, or an unfinished job explains the images of its archive."""
    columns = [column for table in Base.metadata.tables.values() if table is not UploadPart.__table__ for column in table.columns]
    keys = [column for column in columns if any(key.target_fullname == "uploads.id" for key in column.foreign_keys)]
    explained = exists().where(Job.spec["upload"].astext == Upload.id, Job.state.not_in(FINISHED_STATES))
    return or_(*(exists().where(column == Upload.id) for column in keys), explained)


def _lock_one_expired(session: Session, now: datetime) -> Upload | None:
    overdue = select(Upload).where(Upload.state == "open", Upload.expires_at < now)
    return session.scalar(overdue.limit(1).with_for_update(skip_locked=True))


def _lock_one_unused(session: Session, now: datetime) -> Upload | None:
    """A complete upload that has expired and is not used.

    A request that uses an upload locks its row first, so this lock excludes such requests until the end of the transaction.
    """
    while True:
        unused = select(Upload).where(Upload.state == "complete", Upload.expires_at < now, ~is_used())
        upload = session.scalar(unused.limit(1).with_for_update(skip_locked=True))
        if upload is None:
            return None
        # A separate statement: it sees what was committed before this transaction got the lock.
        if session.scalar(select(Upload.id).where(Upload.id == upload.id, ~is_used())) is not None:
            return upload


def _delete_leftover_parts(session: Session, store: ArtifactStore) -> None:
    """Delete parts without an open upload. Storage is listed before the rows are read, since the row of an upload precedes its parts."""
    stored = store.uploads_with_parts()
    if not stored:
        return
    open_ids = set(session.scalars(select(Upload.id).where(Upload.state == "open")))
    session.rollback()
    for upload_id in stored - open_ids:
        store.delete_parts(upload_id)
