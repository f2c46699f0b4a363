"""Disk is given back: rows of stage outputs that nobody used for long, content that nothing refers to, files that no row knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, exists, or_, select, tuple_
from sqlalchemy.orm import Session

from app.db.models import Blob, ConceptLibrary, Predictor, StageArtifact
from app.storage.blobs import drop_unreferenced, is_referred_to, record_blob
from app.storage.store import ArtifactStore

TOGETHER = 500  # rows in one transaction


def drop_unused_artifacts(session: Session, expiry_seconds: float) -> int:
    """Drop the rows of stage outputs last used longer ago than this, but for those by which results are explained. Commits.

    A job that needs one again computes it again.

    Returns
    -------
    int
        How many went.
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
    # Whoever notes a use has the row locked; once that is committed it is no longer among these.
    while keys := session.execute(unused.limit(TOGETHER).with_for_update(skip_locked=True)).all():
        whole_key = tuple_(StageArtifact.owner_id, StageArtifact.key)
        session.execute(delete(StageArtifact).where(whole_key.in_([tuple(key) for key in keys])))
        session.commit()
        gone += len(keys)
    session.rollback()
    return gone


def drop_unreferenced_content(session: Session, store: ArtifactStore) -> int:
    """Drop all content that nothing refers to, one transaction each; returns how many went. Commits.

    Raises
    ------
    StorageUnavailable
    """
    gone, after = 0, ""
    while found := session.scalars(
        select(Blob.sha256).where(Blob.sha256 > after, ~is_referred_to()).order_by(Blob.sha256).limit(TOGETHER)
    ).all():
        session.rollback()
        for sha256 in found:
            gone += drop_unreferenced(session, store, sha256)
            session.commit()
        after = found[-1]
    session.rollback()
    return gone


def drop_unknown_files(session: Session, store: ArtifactStore, prefix: int, older_than_seconds: float) -> int:
    """Delete the files under one prefix that have no row, left by writers that died before they inserted it. Commits.

    Each is made known first: from then on whoever stores the same content waits for us, and looks whether it is still there.

    Parameters
    ----------
    prefix : the first byte of the sha256, 0 to `CONTENT_PREFIXES` - 1
    older_than_seconds : younger ones are left to their writers

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
