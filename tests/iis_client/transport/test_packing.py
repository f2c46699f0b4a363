"""Packing folders as tar, and digests."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from iis_client import LocalFileError
from iis_client.transport.packing import as_one_file, content_digest, file_digest, file_slice


def make_folder(folder: Path) -> Path:
    for name in ("train/cat/1.png", "train/dog/1.png", "test/cat/2.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def names_of(folder: Path) -> list[str]:
    with as_one_file(folder) as archive, tarfile.open(archive) as tar:
        return tar.getnames()


def test_a_file_is_uploaded_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"weights")
    with as_one_file(path) as one:
        assert one == path


def test_a_folder_becomes_a_temporary_uncompressed_tar(tmp_path: Path) -> None:
    with as_one_file(make_folder(tmp_path / "pets")) as archive:
        assert archive.name == "pets.tar"
        with tarfile.open(archive, "r:") as tar:
            assert tar.getnames() == ["test/cat/2.png", "train/cat/1.png", "train/dog/1.png"]
            content = tar.extractfile("train/dog/1.png")
            assert content is not None
            assert content.read() == b"train/dog/1.png"
    assert not archive.exists()


def test_an_unchanged_folder_gives_the_same_bytes_at_any_path(tmp_path: Path) -> None:
    digests: list[str] = []
    for place in ("here", "there"):
        with as_one_file(make_folder(tmp_path / place / "pets")) as archive:
            digests.append(file_digest(archive))
    assert digests[0] == digests[1]


def test_links_are_followed_and_link_cycles_end(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets")
    (folder / "train/cat/linked.png").symlink_to(folder / "train/cat/1.png")
    (folder / "train/circle").symlink_to(folder)
    (folder / "train/broken.png").symlink_to(folder / "nowhere.png")
    with as_one_file(folder) as archive, tarfile.open(archive) as tar:
        assert "train/cat/linked.png" in tar.getnames()
        assert all(entry.isfile() for entry in tar.getmembers())
        assert len(tar.getnames()) == 4


def test_names_that_begin_with_a_dot_are_skipped(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets")
    (folder / ".DS_Store").write_bytes(b"")
    (folder / ".git").mkdir()
    (folder / ".git/config").write_bytes(b"")
    assert len(names_of(folder)) == 3


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_missing_or_empty_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(LocalFileError, match="no file"), as_one_file(tmp_path / name):
        pass


def test_a_file_that_becomes_shorter_during_the_upload_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "growing.bin"
    path.write_bytes(b"12345")
    with pytest.raises(LocalFileError, match="shorter"):
        list(file_slice(path, 0, 6, lambda _: None))


def test_the_digest_of_a_folder_equals_the_digest_of_its_tar(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pets")
    with as_one_file(folder) as archive:
        assert content_digest(folder) == file_digest(archive)
    assert content_digest(folder / "train/cat/1.png") == file_digest(folder / "train/cat/1.png")
    with pytest.raises(LocalFileError, match="There is no file or folder"):
        content_digest(tmp_path / "missing")
