"""Artifact store on a real S3 server (rclone, from its wheel): the same behaviour as on a local folder."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from app.storage import ArtifactMissing, ArtifactStore, ContentMismatch, StorageUnavailable, s3_requests
from support.s3_server import S3Server

REPOSITORY = Path(__file__).parents[3]
CONTENT = random.Random(3).randbytes(6 << 20)  # above the minimum part size of S3, so that uploads are multipart
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(s3_server: S3Server) -> ArtifactStore:
    return ArtifactStore("s3://bucket/prefix", endpoint_url=s3_server.url)


def test_content_is_stored_under_its_sha256(store: ArtifactStore, s3_server: S3Server, tmp_path: Path) -> None:
    store.check()
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    assert store.put(source) == store.put_chunks([CONTENT]) == (SHA256, len(CONTENT))
    assert s3_server.files() == [f"bucket/prefix/sha256/{SHA256[:2]}/{SHA256}"]
    assert store.exists(SHA256)
    store.fetch(SHA256, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == CONTENT
    store.delete(SHA256)
    store.delete(SHA256)
    assert not store.exists(SHA256)
    with pytest.raises(ArtifactMissing, match=SHA256):
        store.open(SHA256)


def test_content_that_differs_from_the_declared_is_not_stored(store: ArtifactStore, s3_server: S3Server) -> None:
    with pytest.raises(ContentMismatch):
        store.put_chunks([CONTENT], expected=("0" * 64, len(CONTENT)))
    assert s3_server.files() == []


def test_parts_are_visible_to_other_processes_and_deleted_together(store: ArtifactStore, s3_server: S3Server, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(CONTENT)
    store.put_part("upl_a", 1, part, SHA256)
    store.delete_parts("upl_none")
    code = "import sys; from pathlib import Path; from app.storage import ArtifactStore; "
    code += "ArtifactStore('s3://bucket/prefix', endpoint_url=sys.argv[1]).put_part('upl_a', 2, Path(sys.argv[2]), sys.argv[3])"
    subprocess.run([sys.executable, "-c", code, s3_server.url, str(part), SHA256], check=True, cwd=REPOSITORY)
    assert b"".join(store.read_part("upl_a", 1, SHA256)) == CONTENT
    assert store.uploads_with_parts() == {"upl_a"}
    store.delete_parts("upl_a")
    assert store.uploads_with_parts() == set()
    assert s3_server.files() == []


def test_stale_temporary_files_are_swept(store: ArtifactStore, s3_server: S3Server) -> None:
    incoming = s3_server.folder / "bucket/prefix/incoming"
    incoming.mkdir(parents=True)
    for name, modified in (("old", 1_000_000_000), ("new", None)):
        (incoming / name).write_bytes(b"half")
        if modified is not None:
            os.utime(incoming / name, (modified, modified))
    assert store.sweep_temporary(3600) == 1
    assert s3_server.files() == ["bucket/prefix/incoming/new"]


def test_a_stopped_server_is_storage_unavailable_until_it_restarts(
    store: ArtifactStore, s3_server: S3Server, wait_until: Callable[..., Any]
) -> None:
    store.put_chunks([CONTENT])
    s3_server.stop()
    with pytest.raises(StorageUnavailable):
        store.exists(SHA256)
    s3_server.start()
    wait_until(s3_server.answers, 20, "the S3 server to answer again")
    assert store.exists(SHA256)


@pytest.mark.parametrize("stopped", ["before reading", "after 100 Continue"])
def test_requests_to_an_unresponsive_server_time_out(stopped: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    monkeypatch.setattr(s3_requests, "READ_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(s3_requests, "WRITE_TIMEOUT_SECONDS", 0.5)
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    kept.append(silent.accept()[0])
                    if stopped != "before reading":
                        kept[-1].recv(1 << 16)
                        kept[-1].sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        store = ArtifactStore("s3://bucket/prefix", endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        for request in (lambda: store.put_chunks([b"bytes"]), lambda: store.exists(SHA256), lambda: store.read_range(SHA256, 0, 9)):
            began = time.monotonic()
            with pytest.raises(StorageUnavailable, match=r"Storage did not answer: no response within 0\.5 s\."):
                request()
            assert time.monotonic() - began < 10
        silent.shutdown(socket.SHUT_RDWR)
