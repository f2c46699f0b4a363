"""Garbage collection of storage: expired stage outputs, unreferenced content, files without a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, exists, or_, select, tuple_
from sqlalchemy.orm import Session

from app.db.models import Blob, ConceptLibrary, Predictor, StageArtifact
from app.storage.blobs import drop_unreferenced, is_referred_to, record_blob
from app.storage.store import ArtifactStore

BATCH_ROWS = 500  # per transaction


def drop_unused_artifacts(session: Session, expiry_seconds: float) -> int:
    """Delete rows of stage outputs not used for `expiry_seconds`, except those that explanations of results need. Commits.

    A job that needs a deleted output computes it again.

    Returns
    -------
    int
        Number of deleted rows.
    """
    unused = select(StageArtifact.owner_id, StageArtifact.key).where(
        StageArtifact.used_at < datetime.now(UTC) - timedelta(seconds=expiry_seconds),
        ~exists().where(ConceptLibrary.owner_id == StageArtifact.owner_id, ConceptLibrary.artifact_key == StageArtifact.key),
        ~exists().where(
            Predictor.owner_id == StageArtifact.owner_id,
            or_(Predictor.predictors_key == StageArtifact.key, Predictor.tested_key == StageArtifact.key),
        ),
    )
    gone = 0
    # A transaction that records a use holds the row's lock; after its commit the row is not selected any more.
    while keys := session.execute(unused.limit(BATCH_ROWS).with_for_update(skip_locked=True)).all():
        whole_key = tuple_(StageArtifact.owner_id, StageArtifact.key)
        session.execute(delete(StageArtifact).where(whole_key.in_([tuple(key) for key in keys])))
        session.commit()
        gone += len(keys)
    session.rollback()
    return gone


def drop_unreferenced_content(session: Session, store: ArtifactStore) -> int:
    """Delete all unreferenced content, in one transaction each; returns the number deleted. Commits.

    Raises
    ------
    StorageUnavailable
    """
    gone, after = 0, ""
    while found := session.scalars(
        select(Blob.sha256).where(Blob.sha256 > after, ~is_referred_to()).order_by(Blob.sha256).limit(BATCH_ROWS)
    ).all():
        session.rollback()
        for sha256 in found:
            gone += drop_unreferenced(session, store, sha256)
            session.commit()
        after = found[-1]
    session.rollback()
    return gone


def drop_unknown_files(session: Session, store: ArtifactStore, prefix: int, older_than_seconds: float) -> int:
    """Delete files without a row under one prefix, which writers that died before they wrote the row have left. Commits.

    Each file gets a row first: a transaction that stores the same content then waits for its lock and checks that the file exists.

    Parameters
    ----------
    prefix : first byte of the sha256, 0 to `CONTENT_PREFIXES` - 1
    older_than_seconds : minimum age; younger files may still get their row

    Raises
    ------
    StorageUnavailable
    """
    old = {sha256: size_bytes for sha256, size_bytes, age_seconds in store.contents(prefix) if age_seconds > older_than_seconds}
    if not old:
        return 0
    known = set(session.scalars(select(Blob.sha256).where(Blob.sha256.in_(list(old)))))
    session.rollback()
    gone = 0
    for sha256 in old.keys() - known:
        record_blob(session, sha256, old[sha256])
        gone += drop_unreferenced(session, store, sha256)
        session.commit()
    return gone
