"""Content goes when nothing refers to it, whoever else is at work on it, and never before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.db.ids import new_id
from app.db.models import Blob, StageArtifact
from app.db.session import SessionFactory
from app.storage import ArtifactStore, StorageUnavailable, drop_unreferenced, record_blob


@pytest.fixture
def sha256(sessions: SessionFactory, store: ArtifactStore) -> str:
    """Content of this test alone that nothing refers to."""
    sha256, size_bytes = store.put_chunks([new_id("job").encode()])
    with sessions.begin() as session:
        record_blob(session, sha256, size_bytes)
    return sha256


def held(sessions: SessionFactory, store: ArtifactStore, sha256: str) -> tuple[bool, bool]:
    """Whether there is a row, and a file."""
    with sessions() as session:
        return session.get(Blob, sha256) is not None, store.exists(sha256)


def test_what_nothing_refers_to_goes_with_its_row(sessions: SessionFactory, store: ArtifactStore, sha256: str) -> None:
    with sessions.begin() as session:
        assert drop_unreferenced(session, store, sha256)
    assert held(sessions, store, sha256) == (False, False)
    with sessions.begin() as session:
        assert not drop_unreferenced(session, store, sha256)


def test_what_any_row_refers_to_stays(sessions: SessionFactory, store: ArtifactStore, rows: Any, tmp_path: Path) -> None:
    scored = rows.explainable_job()  # artifacts, figures and a library's crops
    rows.explained_job(scored, [{"index": 0}])
    rows.finetuned_job()  # an upload
    contents = [path.name for path in (tmp_path / "artifacts" / "sha256").rglob("*") if path.is_file()]
    assert len(contents) == 10
    for sha256 in contents:
        with sessions.begin() as session:
            assert not drop_unreferenced(session, store, sha256)
        assert held(sessions, store, sha256) == (True, True)


def test_what_somebody_is_about_to_refer_to_stays(sessions: SessionFactory, store: ArtifactStore, rows: Any, sha256: str) -> None:
    with sessions.begin() as recording:
        record_blob(recording, sha256, 0)
        with sessions.begin() as session:
            assert not drop_unreferenced(session, store, sha256)
        recording.add(StageArtifact(owner_id=rows.owner_id, key="key", stage="finetune", blob_sha256=sha256))
    assert held(sessions, store, sha256) == (True, True)


def test_whoever_notes_content_while_it_is_dropped_waits_and_sees_that_it_is_gone(
    sessions: SessionFactory, store: ArtifactStore, sha256: str
) -> None:
    def note() -> bool:
        with sessions.begin() as session:
            record_blob(session, sha256, 0)
            return store.exists(sha256)

    with ThreadPoolExecutor() as pool, sessions.begin() as session:
        assert drop_unreferenced(session, store, sha256)
        noted = pool.submit(note)
        with pytest.raises(TimeoutError):
            noted.result(0.3)
        session.commit()
        assert noted.result(10) is False
    assert held(sessions, store, sha256) == (True, False)


def test_a_row_outlives_a_file_that_cannot_be_removed(
    sessions: SessionFactory, store: ArtifactStore, sha256: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_sha256: str) -> None:
        raise StorageUnavailable("It is away.")

    with monkeypatch.context() as storage:
        storage.setattr(store, "move_to_temporary", refuse)
        with pytest.raises(StorageUnavailable), sessions.begin() as session:
            drop_unreferenced(session, store, sha256)
    assert held(sessions, store, sha256) == (True, True)


def test_what_cannot_be_removed_after_its_row_is_gone_is_swept_later(
    sessions: SessionFactory, store: ArtifactStore, sha256: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(_aside: str) -> None:
        raise StorageUnavailable("It is away.")

    with monkeypatch.context() as storage:
        storage.setattr(store, "delete_temporary", refuse)
        with sessions.begin() as session:
            assert drop_unreferenced(session, store, sha256)
    assert held(sessions, store, sha256) == (False, False)
    assert store.sweep_temporary(0) == 1
    assert [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == []
