"""Copies of S3 prefixes from a real S3 server, and the prefixes that may be read."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from app.errors import InvalidInput
from app.local.servers import free_port
from app.settings import Settings
from app.storage import StorageUnavailable
from app.storage.s3_folders import PrefixUnreadable, copy_prefix, reserve
from app.storage.server_folders import allowed_s3_prefix
from support.s3_server import S3Server

FILES = {"data/train/a/1.png": b"one", "data/train/b c/2.png": b"two", "data/labels.csv": b"path,label", "database/secret.txt": b"no"}
PAGE_OBJECTS = 1000  # of a listing, the most that S3 gives at once


class Canceled(Exception):
    pass


@pytest.fixture
def bucket(s3_server: S3Server) -> S3Server:
    for name, content in FILES.items():
        path = s3_server.folder / "bucket" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return s3_server


def copied(server: S3Server, url: str, target: Path, max_bytes: int = 1000, max_files: int = 10) -> Path:
    return copy_prefix(url, target, endpoint_url=server.url, max_bytes=max_bytes, max_files=max_files, check=lambda: None)


def test_all_objects_below_a_prefix_are_copied_and_none_beside_it(bucket: S3Server, tmp_path: Path) -> None:
    folder = copied(bucket, "s3://bucket/data", tmp_path / "copy")
    found = {f"data/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {name: content for name, content in FILES.items() if name.startswith("data/")}


def test_a_single_object_is_copied_to_a_file(bucket: S3Server, tmp_path: Path) -> None:
    path = copied(bucket, "s3://bucket/data/labels.csv", tmp_path / "copy")
    assert (path.name, path.read_bytes()) == ("labels.csv", b"path,label")


@pytest.mark.parametrize(
    ("url", "limits", "sentence"),
    [
        ("s3://bucket/absent", {}, "There is nothing at s3://bucket/absent"),
        ("s3://other/data", {}, "There is nothing at s3://other/data"),
        ("s3://bucket/data/labels.csv", {"max_bytes": 9}, "has 10 bytes, more than the 9 that a data set may have"),
        ("s3://bucket/data", {"max_bytes": 15}, "has more than 15 bytes, the most that a data set may have"),
        ("s3://bucket/data", {"max_files": 2}, "has more than 2 objects, the most files that a data set may have"),
    ],
)
def test_what_cannot_be_copied_is_refused_with_the_reason(
    bucket: S3Server, tmp_path: Path, url: str, limits: dict[str, int], sentence: str
) -> None:
    with pytest.raises(PrefixUnreadable, match=sentence):
        copied(bucket, url, tmp_path / "copy", **limits)


def test_a_denied_prefix_is_refused_without_a_path_of_this_machine(
    bucket: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(PrefixUnreadable) as refused:
        copied(bucket, "s3://bucket/data", tmp_path / "copy")
    assert str(refused.value) == "The S3 server denies access to s3://bucket/data."


def test_a_server_that_does_not_answer_leaves_the_copy_to_another_attempt(bucket: S3Server, tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="s3://bucket/data could not be copied: EndpointConnectionError"):
        copy_prefix(
            "s3://bucket/data",
            tmp_path / "copy",
            endpoint_url=f"http://127.0.0.1:{free_port()}",
            max_bytes=1000,
            max_files=10,
            check=lambda: None,
        )


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (["data/a", "data/a/1.png"], "is below another object"),
        (["data/a/1.png", "data/a"], "or above one"),
        (["data/a/1.png", "data/a//1.png"], "differ only in repeated slashes"),
        (["data/../1.png"], "is not that of a file below its prefix"),
        (["data/" + "x" * 256], "is not that of a file below its prefix"),
    ],
)
def test_objects_whose_names_cannot_be_those_of_files_are_refused(tmp_path: Path, keys: list[str], sentence: str) -> None:
    for key in keys[:-1]:
        reserve(key, "data", tmp_path)
    with pytest.raises(PrefixUnreadable, match=sentence):
        reserve(keys[-1], "data", tmp_path)


def test_a_listing_ends_at_the_page_that_exceeds_a_limit(bucket: S3Server, tmp_path: Path) -> None:
    folder = bucket.folder / "bucket" / "many"
    folder.mkdir()
    for number in range(PAGE_OBJECTS + 5):
        (folder / f"{number:04d}").write_bytes(b"xy")
    pages: list[int] = []
    copies = itertools.count()

    def copy(**limits: int) -> None:
        pages.clear()
        copy_prefix(
            "s3://bucket/many",
            tmp_path / f"copy-{next(copies)}",
            endpoint_url=bucket.url,
            check=lambda: pages.append(1),
            **{"max_bytes": 1 << 20, "max_files": 1 << 20} | limits,
        )

    for limits in ({"max_files": PAGE_OBJECTS - 1}, {"max_bytes": 2 * PAGE_OBJECTS - 1}):
        with pytest.raises(PrefixUnreadable, match="has more than"):
            copy(**limits)
        assert len(pages) == 1, "the second page is not asked for"
    with pytest.raises(PrefixUnreadable, match="has more than"):
        copy(max_files=PAGE_OBJECTS + 4)
    assert len(pages) == 2
    assert not list(tmp_path.glob("copy-*/*")), "nothing is copied before all pages are known"


@pytest.mark.slow
def test_all_pages_are_copied(bucket: S3Server, tmp_path: Path) -> None:
    folder = bucket.folder / "bucket" / "many"
    folder.mkdir()
    for number in range(PAGE_OBJECTS + 5):
        (folder / f"{number:04d}").write_bytes(str(number).encode())
    copy = copied(bucket, "s3://bucket/many", tmp_path / "copy", max_bytes=1 << 20, max_files=PAGE_OBJECTS + 5)
    assert {path.name: path.read_text() for path in copy.iterdir()} == {f"{n:04d}": str(n) for n in range(PAGE_OBJECTS + 5)}


def test_a_copy_stops_when_its_job_is_canceled(bucket: S3Server, tmp_path: Path) -> None:
    def cancel() -> None:
        raise Canceled

    with pytest.raises(Canceled):
        copy_prefix("s3://bucket/data", tmp_path / "copy", endpoint_url=bucket.url, max_bytes=1000, max_files=10, check=cancel)
    assert not [path for path in (tmp_path / "copy").rglob("*") if path.is_file()]


@pytest.mark.parametrize("given", ["s3://bucket/data", "s3://bucket/data/", "s3://bucket/data/train/a"])
def test_a_prefix_at_or_below_an_allowed_one_may_be_read(settings: Settings, given: str) -> None:
    settings.server_dataset_prefixes = ["s3://bucket/data/"]
    assert allowed_s3_prefix(given, settings) == given.rstrip("/")


@pytest.mark.parametrize(
    "given",
    [
        "s3://bucket",
        "s3://bucket/database",
        "s3://other/data",
        "s3://bucket/data/../database",
        "s3://bucket//data",
        "s3://",
        "s3://bucket/data/\0",
    ],
)
def test_any_other_prefix_is_refused(settings: Settings, given: str) -> None:
    settings.server_dataset_prefixes = ["s3://bucket/data"]
    with pytest.raises(InvalidInput, match="not inside a folder that the service may read"):
        allowed_s3_prefix(given, settings)
