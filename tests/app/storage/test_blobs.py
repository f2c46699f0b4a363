"""Deletion of unreferenced content, also under concurrent transactions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.db.ids import new_id
from app.db.models import Blob, StageArtifact
from app.db.session import SessionFactory
from app.storage import ArtifactStore, StorageUnavailable, drop_unreferenced, record_blob
from support.rows import Rows


@pytest.fixture
def sha256(sessions: SessionFactory, store: ArtifactStore) -> str:
    """Unreferenced content that no other test uses."""
    sha256, size_bytes = store.put_chunks([new_id("job").encode()])
    with sessions.begin() as session:
        record_blob(session, sha256, size_bytes)
    return sha256


def row_and_file_exist(sessions: SessionFactory, store: ArtifactStore, sha256: str) -> tuple[bool, bool]:
    """Whether the row exists, and whether the file exists."""
    with sessions() as session:
        return session.get(Blob, sha256) is not None, store.exists(sha256)


def test_unreferenced_content_is_deleted_with_its_row(sessions: SessionFactory, store: ArtifactStore, sha256: str) -> None:
    with sessions.begin() as session:
        assert drop_unreferenced(session, store, sha256)
    assert row_and_file_exist(sessions, store, sha256) == (False, False)
    with sessions.begin() as session:
        assert not drop_unreferenced(session, store, sha256)


def test_referenced_content_is_not_deleted(sessions: SessionFactory, store: ArtifactStore, rows: Rows, tmp_path: Path) -> None:
    scored = rows.explainable_job()  # artifacts, figures and the crops of a library
    rows.explained_job(scored, [{"index": 0}])
    rows.finetuned_job()  # an upload
    contents = [path.name for path in (tmp_path / "artifacts" / "sha256").rglob("*") if path.is_file()]
    assert len(contents) == 10
    for sha256 in contents:
        with sessions.begin() as session:
            assert not drop_unreferenced(session, store, sha256)
        assert row_and_file_exist(sessions, store, sha256) == (True, True)


def test_content_recorded_in_an_open_transaction_is_not_deleted(
    sessions: SessionFactory, store: ArtifactStore, rows: Rows, sha256: str
) -> None:
    with sessions.begin() as recording:
        record_blob(recording, sha256, 0)
        with sessions.begin() as session:
            assert not drop_unreferenced(session, store, sha256)
        recording.add(StageArtifact(owner_id=rows.owner_id, key="key", stage="finetune", blob_sha256=sha256))
    assert row_and_file_exist(sessions, store, sha256) == (True, True)


def test_recording_content_during_its_deletion_waits_and_finds_it_missing(
    sessions: SessionFactory, store: ArtifactStore, sha256: str
) -> None:
    def record() -> bool:
        with sessions.begin() as session:
            record_blob(session, sha256, 0)
            return store.exists(sha256)

    with ThreadPoolExecutor() as pool, sessions.begin() as session:
        assert drop_unreferenced(session, store, sha256)
        recorded = pool.submit(record)
        with pytest.raises(TimeoutError):
            recorded.result(0.3)
        session.commit()
        assert recorded.result(10) is False
    assert row_and_file_exist(sessions, store, sha256) == (True, False)


def test_the_row_stays_if_the_file_cannot_be_removed(
    sessions: SessionFactory, store: ArtifactStore, sha256: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_sha256: str) -> None:
        raise StorageUnavailable("Storage is unavailable.")

    with monkeypatch.context() as storage:
        storage.setattr(store, "move_to_temporary", refuse)
        with pytest.raises(StorageUnavailable), sessions.begin() as session:
            drop_unreferenced(session, store, sha256)
    assert row_and_file_exist(sessions, store, sha256) == (True, True)


def test_a_temporary_file_that_cannot_be_deleted_is_swept_later(
    sessions: SessionFactory, store: ArtifactStore, sha256: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(_temporary: str) -> None:
        raise StorageUnavailable("Storage is unavailable.")

    with monkeypatch.context() as storage:
        storage.setattr(store, "delete_temporary", refuse)
        with sessions.begin() as session:
            assert drop_unreferenced(session, store, sha256)
    assert row_and_file_exist(sessions, store, sha256) == (False, False)
    assert store.sweep_temporary(0) == 1
    assert [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == []
