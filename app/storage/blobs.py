"""The rows that say which content is held in storage, who refers to it, and how it goes when nobody does."""

from __future__ import annotations

import structlog
from sqlalchemy import ColumnElement, delete, exists, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.models import Base, Blob, ConceptLibrary, Upload
from app.db.session import after_commit
from app.storage.store import ArtifactStore, StorageUnavailable

log = structlog.get_logger(__name__)


def record_blob(session: Session, sha256: str, size_bytes: int) -> None:
    """Note that storage holds this content, and let nobody drop it before the transaction ends.

    What was stored earlier may have been dropped up to this moment: who cannot store it after this call must look whether it is there.
    """
    locked = select(Blob.sha256).where(Blob.sha256 == sha256).with_for_update(read=True, key_share=True)
    while True:  # a row that was there may be gone once its lock is ours
        session.execute(insert(Blob).values(sha256=sha256, size_bytes=size_bytes).on_conflict_do_nothing())
        if session.scalar(locked) is not None:
            return


def is_referred_to() -> ColumnElement[bool]:
    """Whether anything refers to a row of `Blob`, as a condition of a statement over that table.

    Every foreign key to it counts. So do the two places that name content without one: a complete upload (what an open one declares is not
    held yet), and the crops of a concept library.
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
    """Drop content that nothing refers to, its file and then its row; returns whether it went.

    Call it in a transaction of its own, behind the one that took the last reference away, and commit at once. The lock keeps out whoever
    is about to refer to it, and makes way for whoever does so now. When the file cannot be removed the row stays, by which it is found
    again.

    Raises
    ------
    StorageUnavailable
    """
    if session.scalar(select(Blob.sha256).where(Blob.sha256 == sha256).with_for_update(skip_locked=True)) is None:
        return False
    # A statement of its own: it must see what was committed before the lock was ours.
    if session.scalar(select(Blob.sha256).where(Blob.sha256 == sha256, is_referred_to())) is not None:
        return False
    aside = store.set_aside(sha256)
    session.execute(delete(Blob).where(Blob.sha256 == sha256))
    if aside is not None:
        after_commit(session, lambda: _drop(store, aside))  # no lock is held for as long as a large file takes
    return True


def _drop(store: ArtifactStore, aside: str) -> None:
    try:
        store.drop(aside)
    except StorageUnavailable as error:
        log.warning("content_left_behind", name=aside, error=str(error))
