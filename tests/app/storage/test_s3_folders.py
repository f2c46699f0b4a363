"""Copies of S3 prefixes from a real S3 server, and the prefixes that may be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import InvalidInput
from app.settings import Settings
from app.storage.s3_folders import PrefixUnreadable, copy_prefix
from app.storage.server_folders import allowed_s3_prefix
from support.s3_server import S3Server

FILES = {"data/train/a/1.png": b"one", "data/train/b c/2.png": b"two", "data/labels.csv": b"path,label", "database/secret.txt": b"no"}


class Canceled(Exception):
    pass


@pytest.fixture
def bucket(s3_server: S3Server) -> S3Server:
    for name, content in FILES.items():
        path = s3_server.folder / "bucket" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return s3_server


def copied(server: S3Server, url: str, target: Path, max_bytes: int = 1000) -> Path:
    return copy_prefix(url, target, endpoint_url=server.url, max_bytes=max_bytes, check=lambda: None)


def test_all_objects_below_a_prefix_are_copied_and_none_beside_it(bucket: S3Server, tmp_path: Path) -> None:
    folder = copied(bucket, "s3://bucket/data", tmp_path / "copy")
    found = {f"data/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {name: content for name, content in FILES.items() if name.startswith("data/")}


def test_a_single_object_is_copied_to_a_file(bucket: S3Server, tmp_path: Path) -> None:
    path = copied(bucket, "s3://bucket/data/labels.csv", tmp_path / "copy")
    assert (path.name, path.read_bytes()) == ("labels.csv", b"path,label")


@pytest.mark.parametrize(
    ("url", "max_bytes", "sentence"),
    [
        ("s3://bucket/absent", 1000, "There is nothing at s3://bucket/absent"),
        ("s3://other/data", 1000, "s3://other/data"),
        ("s3://bucket/data", 15, "has 16 bytes, more than the 15 that a data set may have"),
    ],
)
def test_what_cannot_be_copied_is_refused_with_the_reason(
    bucket: S3Server, tmp_path: Path, url: str, max_bytes: int, sentence: str
) -> None:
    with pytest.raises(PrefixUnreadable, match=sentence):
        copied(bucket, url, tmp_path / "copy", max_bytes)


def test_a_copy_stops_when_its_job_is_canceled(bucket: S3Server, tmp_path: Path) -> None:
    def cancel() -> None:
        raise Canceled

    with pytest.raises(Canceled):
        copy_prefix("s3://bucket/data", tmp_path / "copy", endpoint_url=bucket.url, max_bytes=1000, check=cancel)
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
