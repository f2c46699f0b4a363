"""Events of a job: pages by cursor, and the live stream without loss or repetition."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text

from app.db.session import SessionFactory
from support.rows import Rows
from support.servers import ServerProcess, WaitUntil

STREAM = {"Accept": "text/event-stream"}


def read_stream(http: httpx.Client, job_id: str, last_event_id: int | None = None, stop_after: int | None = None) -> list[dict[str, Any]]:
    """The messages of a stream up to its end, or the first few of them."""
    headers = STREAM | ({"Last-Event-ID": str(last_event_id)} if last_event_id is not None else {})
    messages: list[dict[str, Any]] = []
    fields: dict[str, str] = {}
    with http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if line and name:
                fields[name] = value
            elif not line and "id" in fields:
                message = json.loads(fields["data"])
                assert (int(fields["id"]), fields["event"]) == (message["id"], message["type"])
                messages.append(message)
                fields = {}
                if len(messages) == stop_after:
                    break
    return messages


def listeners(sessions: SessionFactory) -> int:
    """Number of connections that listen to job events."""
    with sessions() as session:
        return session.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN job_events'"))


def test_the_cursor_returns_every_event_once_in_order(client: TestClient, rows: Rows) -> None:
    job_id = rows.job()
    token = rows.claim(job_id)
    for done in range(5):
        rows.progress(job_id, token, done)
    walked: list[dict[str, Any]] = []
    path: str | None = f"/v1/jobs/{job_id}/events?limit=3"
    while path:
        page = client.get(path).json()
        walked += page["data"]
        path = page["links"].get("next")
    assert [found["type"] for found in walked] == ["state", "state"] + ["progress"] * 5
    assert [found["data"]["done"] for found in walked[2:]] == [0, 1, 2, 3, 4]
    ids = [found["id"] for found in walked]
    assert ids == sorted(set(ids))
    assert client.get(f"/v1/jobs/{job_id}/events?after={ids[-1]}").json()["data"] == []


@pytest.mark.parametrize("cursor", ["yesterday", "9" * 30])
def test_an_invalid_cursor_is_refused(client: TestClient, rows: Rows, cursor: str) -> None:
    job_id = rows.job()
    assert client.get(f"/v1/jobs/{job_id}/events?after={cursor}").status_code == 422
    response = client.get(f"/v1/jobs/{job_id}/events", headers={**STREAM, "Last-Event-ID": cursor})
    assert (response.status_code, response.json()["errors"][0]["param"]) == (422, "Last-Event-ID")


def test_unchanged_events_are_a_304(client: TestClient, rows: Rows) -> None:
    path = f"/v1/jobs/{rows.job()}/events"
    tag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_the_stream_has_every_event_of_a_job_and_closes_after_its_end(
    live: httpx.Client, rows: Rows, wait_until: WaitUntil, waiting_count: Callable[[str], int]
) -> None:
    job_id = rows.job()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_stream, live, job_id)
        wait_until(lambda: waiting_count(job_id), what="the stream to be open")
        token = rows.claim(job_id)
        rows.progress(job_id, token, 3)
        rows.event(job_id, token, "warning", message="Accuracy is near chance.")
        rows.succeed(job_id, token)
        messages = reading.result(20)
    assert [message["type"] for message in messages] == ["state", "state", "progress", "warning", "state"]
    assert [message["data"]["state"] for message in messages if message["type"] == "state"] == ["queued", "running", "succeeded"]
    assert messages == live.get(f"/v1/jobs/{job_id}/events").json()["data"], "the stream and the page are the same rows"


def test_a_resumed_stream_has_no_missing_or_repeated_events(live: httpx.Client, rows: Rows) -> None:
    job_id = rows.job()
    token = rows.claim(job_id)
    for done in range(6):
        rows.progress(job_id, token, done)
    first = read_stream(live, job_id, stop_after=4)
    for done in range(6, 9):
        rows.progress(job_id, token, done)
    second = read_stream(live, job_id, last_event_id=first[-1]["id"], stop_after=3)
    rows.succeed(job_id, token)
    third = read_stream(live, job_id, last_event_id=second[-1]["id"])
    assert first + second + third == live.get(f"/v1/jobs/{job_id}/events?limit=100").json()["data"]


@pytest.mark.slow
def test_a_stream_ends_when_the_database_stops_and_resumes_after_its_restart(
    live: httpx.Client, rows: Rows, wait_until: WaitUntil, waiting_count: Callable[[str], int], postgres_server: ServerProcess
) -> None:
    job_id = rows.job()
    token = rows.claim(job_id)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_stream, live, job_id)
        wait_until(lambda: waiting_count(job_id), what="the stream to be open")
        postgres_server.stop()
        try:
            first = reading.result(30)
        finally:
            postgres_server.start()
    rows.succeed(job_id, token)
    second = read_stream(live, job_id, last_event_id=first[-1]["id"] if first else 0)
    assert [message["data"]["state"] for message in first + second] == ["queued", "running", "succeeded"]


def test_a_stream_resumed_after_the_last_event_is_empty(live: httpx.Client, rows: Rows) -> None:
    job_id, _ = rows.succeeded_job()
    last = live.get(f"/v1/jobs/{job_id}/events").json()["data"][-1]["id"]
    assert read_stream(live, job_id, last_event_id=last) == []


def test_a_stream_longer_than_one_batch_is_complete(live: httpx.Client, rows: Rows) -> None:
    job_id = rows.job()
    token = rows.claim(job_id)
    for done in range(205):
        rows.progress(job_id, token, done, total=205)
    rows.cancel(job_id)
    messages = read_stream(live, job_id, stop_after=208)
    assert [message["data"]["done"] for message in messages if message["type"] == "progress"] == list(range(205))
    assert messages[-1]["data"]["state"] == "canceling"


def test_fifty_streams_of_one_job_are_complete_and_hold_no_database_connection(
    live: httpx.Client, rows: Rows, app: FastAPI, sessions: SessionFactory, wait_until: WaitUntil, waiting_count: Callable[[str], int]
) -> None:
    job_id = rows.job()

    with ThreadPoolExecutor(50) as pool:
        reading = [pool.submit(read_stream, live, job_id) for _ in range(50)]
        wait_until(lambda: waiting_count(job_id) == 50, what="50 streams to be open")
        wait_until(lambda: app.state.engine.pool.checkedout() == 0, what="idle streams to give every connection back")
        assert live.get(f"/v1/jobs/{job_id}").status_code == 200
        token = rows.claim(job_id)
        for done in range(20):
            rows.progress(job_id, token, done)
        rows.succeed(job_id, token)
        seen = [stream.result(60) for stream in reading]
    whole = live.get(f"/v1/jobs/{job_id}/events?limit=100").json()["data"]
    assert len(whole) == 23
    assert all(messages == whole for messages in seen)
    wait_until(lambda: not listeners(sessions), what="the listening connection to close after the last reader")


def test_a_stream_survives_the_loss_of_its_listening_connection(
    live: httpx.Client, rows: Rows, sessions: SessionFactory, wait_until: WaitUntil, waiting_count: Callable[[str], int]
) -> None:
    listening = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN job_events'")
    job_id = rows.job()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_stream, live, job_id)
        wait_until(lambda: waiting_count(job_id), what="the stream to be open")

        def cut() -> bool:
            with sessions.begin() as session:
                return bool(session.scalars(listening).all())

        wait_until(cut, what="the listening connection to be cut")
        rows.succeed(job_id, rows.claim(job_id))
        assert reading.result(20)[-1]["data"]["state"] == "succeeded"


def test_events_of_stages_have_the_title_of_stage_and_part(client: TestClient, rows: Rows) -> None:
    job_id = rows.job()
    token = rows.claim(job_id)
    rows.event(job_id, token, "stage", stage="finetune", part="treatment, seed 0", state="started")
    rows.event(job_id, token, "stage", stage="of_another_version", state="reused")
    rows.progress(job_id, token, 4)
    events = client.get(f"/v1/jobs/{job_id}/events").json()["data"]
    titles = [event["data"].get("title") for event in events]
    assert titles == [None, None, "Training: treatment, seed 0", "Of another version", "Extracting features"]
