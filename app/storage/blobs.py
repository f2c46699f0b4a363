"""Rows of stored content (`Blob`): recording, references, deletion of unreferenced content."""

from __future__ import annotations

import structlog
from sqlalchemy import ColumnElement, delete, exists, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.models import Base, Blob, ConceptLibrary, Upload
from app.db.session import after_commit, let_idle
from app.storage.store import ArtifactStore, StorageUnavailable

log = structlog.get_logger(__name__)


def record_blob(session: Session, sha256: str, size_bytes: int) -> None:
    """Record content that storage holds, and lock it against deletion until the end of the transaction.

    Content stored before this call may have been deleted meanwhile: store it after the call, or check that it exists.
    """
    locked = select(Blob.sha256).where(Blob.sha256 == sha256).with_for_update(read=True, key_share=True)
    while True:  # the row may be deleted before it is locked
        session.execute(insert(Blob).values(sha256=sha256, size_bytes=size_bytes).on_conflict_do_nothing())
        if session.scalar(locked) is not None:
            return


def is_referred_to() -> ColumnElement[bool]:
    """SQL condition on `Blob`: whether any row refers to the content.

    Counts all foreign keys to it, and the two references without a foreign key: complete uploads (the content of open ones is not stored
    yet) and the crops of concept libraries.
    """
    columns = [column for table in Base.metadata.tables.values() for column in table.columns]
    keys = [column for column in columns if any(key.target_fullname == "blobs.sha256" for key in column.foreign_keys)]
    crops = ConceptLibrary.settings["exemplars"]["sha256"].astext
    return or_(
        *(exists().where(column == Blob.sha256) for column in keys),
        exists().where(Upload.sha256 == Blob.sha256, Upload.state == "complete"),
        exists().where(crops == Blob.sha256),
    )


def drop_unreferenced(session: Session, store: ArtifactStore, sha256: str) -> bool:
    """Delete unreferenced content, its file and then its row; returns whether it was deleted.

    Call it in a separate transaction, after the one that deleted the last reference, and commit at once. The lock blocks transactions
    that are about to refer to the content; if one already holds it, nothing is deleted. If the file cannot be removed, the row stays
    for the next garbage collection.

    Raises
    ------
    StorageUnavailable
    """
    if session.scalar(select(Blob.sha256).where(Blob.sha256 == sha256).with_for_update(skip_locked=True)) is None:
        return False
    # A separate statement, because it must see references committed before the lock was acquired.
    if session.scalar(select(Blob.sha256).where(Blob.sha256 == sha256, is_referred_to())) is not None:
        return False
    let_idle(session)
    temporary = store.move_to_temporary(sha256)
    session.execute(delete(Blob).where(Blob.sha256 == sha256))
    if temporary is not None:
        after_commit(session, lambda: _delete_temporary(store, temporary))  # a large file takes seconds; hold no lock meanwhile
    return True


def _delete_temporary(store: ArtifactStore, temporary: str) -> None:
    try:
        store.delete_temporary(temporary)
    except StorageUnavailable as error:
        log.warning("temporary_file_not_deleted", name=temporary, error=str(error))
