"""Compressed answers: which ones, for whom, and their ETags."""

from __future__ import annotations

import gzip

import pytest
from fastapi.testclient import TestClient

from app.http.caching import COMPRESSED_BYTES_MIN
from support.rows import Rows


def test_a_large_answer_is_compressed_for_clients_that_accept_it(client: TestClient, rows: Rows) -> None:
    model, dataset = rows.model(), rows.dataset()
    for _ in range(6):
        rows.job(model, dataset)
    plain = client.get("/v1/jobs", headers={"Accept-Encoding": "identity"})
    assert len(plain.content) >= COMPRESSED_BYTES_MIN
    assert ("content-encoding" in plain.headers, plain.headers["vary"]) == (False, "Accept-Encoding")
    packed = client.get("/v1/jobs", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert packed.content == plain.content, "httpx unpacks it"
    assert int(packed.headers["content-length"]) == len(gzip.compress(plain.content, 4, mtime=0)) < len(plain.content) / 4
    assert packed.headers["etag"] == f"W/{plain.headers['etag']}"
    for known in (plain, packed):
        again = client.get("/v1/jobs", headers={"If-None-Match": known.headers["etag"]})
        assert (again.status_code, again.headers["etag"]) == (304, packed.headers["etag"])  # httpx accepts gzip


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "gzip; q=0.0, br", "gzipped", "x-gzip2", f"gzip{' ' * 60_000}x"])
def test_no_answer_is_compressed_for_other_clients(client: TestClient, rows: Rows, accepted: str) -> None:
    for _ in range(6):
        rows.job()
    assert "content-encoding" not in client.get("/v1/jobs", headers={"Accept-Encoding": accepted}).headers


def test_small_answers_and_event_streams_are_not_compressed(client: TestClient, rows: Rows) -> None:
    job = rows.job()
    rows.cancel(job)
    accepting = {"Accept-Encoding": "gzip"}
    assert "content-encoding" not in client.get(f"/v1/jobs/{job}", headers=accepting).headers
    stream = client.get(f"/v1/jobs/{job}/events", headers={**accepting, "Accept": "text/event-stream"})
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in stream.headers
