"""Artifact store on a local folder: addresses, atomic writes, errors."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.storage import ArtifactMissing, ArtifactStore, ContentMismatch, StorageUnavailable

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def store(folder: Path) -> ArtifactStore:
    return ArtifactStore(folder.as_uri())


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_content_is_stored_under_its_sha256(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    assert store.put(source) == store.put_chunks([CONTENT]) == (SHA256, len(CONTENT))
    assert files(folder) == [f"sha256/{SHA256[:2]}/{SHA256}"]
    assert store.exists(SHA256)
    with store.open(SHA256) as file:
        assert file.read() == CONTENT
    store.fetch(SHA256, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == CONTENT
    store.delete(SHA256)
    store.delete(SHA256)
    assert not store.exists(SHA256)


def test_a_failed_write_leaves_no_files(store: ArtifactStore, folder: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield CONTENT
        raise RuntimeError("the sender broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        store.put_chunks(broken())
    with pytest.raises(ContentMismatch) as mismatch:
        store.put_chunks([CONTENT], expected=("0" * 64, len(CONTENT)))
    assert (mismatch.value.sha256, mismatch.value.size_bytes) == (SHA256, len(CONTENT))
    assert files(folder) == []


def test_missing_content_is_named_in_the_error(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match=SHA256):
        store.open(SHA256)
    with pytest.raises(ArtifactMissing):
        store.fetch(SHA256, tmp_path / "fetched")
    assert list(tmp_path.glob("*fetched*")) == []


@pytest.mark.parametrize("address", ["../../etc/passwd", "", "A" * 64, "0" * 63])
def test_only_a_sha256_is_a_valid_address(store: ArtifactStore, address: str) -> None:
    with pytest.raises(ArtifactMissing):
        store.open(address)


def test_parts_are_stored_separately_from_content(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(CONTENT)
    store.put_part("upl_a", 3, part, SHA256)
    assert b"".join(store.read_part("upl_a", 3, SHA256)) == CONTENT
    assert not store.exists(SHA256)
    assert store.uploads_with_parts() == {"upl_a"}
    store.delete_parts("upl_a")
    store.delete_parts("upl_a")
    assert store.uploads_with_parts() == set()
    assert files(folder) == []


def test_stale_temporary_files_are_swept(store: ArtifactStore, folder: Path) -> None:
    assert store.sweep_temporary(3600) == 0
    incoming = folder / "incoming"
    incoming.mkdir(parents=True)
    for name, age_seconds in (("old", 7200), ("new", 0)):
        (incoming / name).write_bytes(b"half")
        moment = time.time() - age_seconds
        os.utime(incoming / name, (moment, moment))
    assert store.sweep_temporary(3600) == 1
    assert files(folder) == ["incoming/new"]


def test_an_unwritable_folder_is_storage_unavailable(folder: Path, store: ArtifactStore) -> None:
    store.check()
    assert files(folder) == []
    for leftover in sorted(folder.rglob("*"), reverse=True):
        leftover.rmdir()
    folder.rmdir()
    folder.write_text("a file")
    with pytest.raises(StorageUnavailable):
        store.check()
    with pytest.raises(StorageUnavailable):
        store.put_chunks([CONTENT])


def test_a_full_disk_is_storage_unavailable_and_leaves_no_files(
    folder: Path, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("app.storage.store.os.fsync", full)
    with pytest.raises(StorageUnavailable, match="No space left"):
        store.put_chunks([CONTENT])
    assert files(folder) == []
