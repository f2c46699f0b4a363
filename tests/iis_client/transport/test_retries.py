"""Retries of requests, streams and uploads against a scripted service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from iis_client import ConflictError, NotFoundError, TooManyRequestsError, UnavailableError
from iis_client.transport import http as transport
from iis_client.transport import uploads
from iis_client.transport.http import READ_TIMEOUT_SECONDS, Transport
from iis_client.transport.server_sent_events import stream_events
from iis_schemas.jobs.events import EVENT_EXAMPLE
from iis_schemas.uploads import UPLOAD_EXAMPLE

if TYPE_CHECKING:
    from support.scripted_service import ScriptedService

JOB, EVENTS = "/v1/jobs/job_1", "/v1/jobs/job_1/events"
COMPLETE = "/v1/uploads/upl_1/complete"
ATTEMPTS = 3  # of the fixture `impatient`


def problem(status: int, code: str) -> tuple[int, dict[str, Any]]:
    return status, {"status": status, "code": code, "detail": "Not now.", "request_id": "req_1", "errors": []}


def event(number: int, state: str) -> str:
    body = {**EVENT_EXAMPLE, "id": number, "type": "state", "data": {"state": state}}
    return f"id: {number}\ndata: {json.dumps(body)}\n\n"


IN_FLIGHT = problem(409, "idempotency_in_flight")


def test_a_response_in_flight_does_not_count_as_a_failed_attempt(scripted: ScriptedService, impatient: Transport) -> None:
    scripted.answer(f"POST {COMPLETE}", *[IN_FLIGHT] * (3 * ATTEMPTS), (200, {"state": "complete"}))
    assert impatient.send("POST", COMPLETE).json() == {"state": "complete"}


def test_failed_attempts_are_counted_between_responses_in_flight(scripted: ScriptedService, impatient: Transport) -> None:
    scripted.answer(f"POST {COMPLETE}", IN_FLIGHT, problem(503, "unavailable"), IN_FLIGHT, problem(503, "unavailable"))
    with pytest.raises(UnavailableError):
        impatient.send("POST", COMPLETE)
    assert scripted.times(f"POST {COMPLETE}") == 2 + ATTEMPTS


def test_a_response_that_stays_in_flight_ends_with_a_timeout(
    scripted: ScriptedService, impatient: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "IN_FLIGHT_SECONDS", 0.2)
    scripted.answer(f"POST {COMPLETE}", IN_FLIGHT)
    with pytest.raises(ConflictError) as refused:
        impatient.send("POST", COMPLETE, read_timeout_seconds=0.1)
    assert refused.value.code == "idempotency_in_flight"
    assert scripted.times(f"POST {COMPLETE}") > ATTEMPTS


def test_the_timeout_of_completing_an_upload_grows_with_its_size(
    scripted: ScriptedService, impatient: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    waited: dict[str, float] = {}
    send = Transport.send

    def recorded(self: Transport, method: str, path: str, **options: Any) -> Any:
        waited[path] = options.get("read_timeout_seconds", READ_TIMEOUT_SECONDS)
        return send(self, method, path, **options)

    monkeypatch.setattr(Transport, "send", recorded)
    monkeypatch.setattr(uploads, "ASSEMBLY_BYTES_PER_SECOND", 10)
    scripted.answer("POST /v1/uploads", (201, {**UPLOAD_EXAMPLE, "id": "upl_1", "state": "open", "parts": []}))
    scripted.answer("PUT /v1/uploads/upl_1/parts/1", (200, {}))
    scripted.answer(f"POST {COMPLETE}", (200, {**UPLOAD_EXAMPLE, "id": "upl_1", "state": "complete"}))
    path = tmp_path / "weights.bin"
    path.write_bytes(b"x" * 3000)
    assert uploads.send_file(impatient, path).state == "complete"
    assert waited == {
        "/v1/uploads": READ_TIMEOUT_SECONDS,
        "/v1/uploads/upl_1/parts/1": READ_TIMEOUT_SECONDS,
        COMPLETE: READ_TIMEOUT_SECONDS + 300,
    }


def test_a_rate_limited_request_waits_for_retry_after(
    scripted: ScriptedService, impatient: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(transport.time, "sleep", pauses.append)
    scripted.answer(f"GET {JOB}", (*problem(429, "rate_limited"), {"Retry-After": "7"}), (200, {"state": "running"}))
    assert impatient.send("GET", JOB).json() == {"state": "running"}
    scripted.answer(f"GET {EVENTS}", (*problem(429, "rate_limited"), {"Retry-After": "8"}), (200, event(2, "succeeded")))
    assert [found.id for found in stream_events(impatient, "job_1")] == [2]
    assert pauses == [7, 8]


def test_a_used_up_quota_is_raised_without_retry(scripted: ScriptedService, impatient: Transport) -> None:
    scripted.answer("POST /v1/jobs", problem(429, "quota_exceeded"))
    with pytest.raises(TooManyRequestsError) as refused:
        impatient.send("POST", "/v1/jobs", json={})
    assert refused.value.code == "quota_exceeded"
    assert scripted.times("POST /v1/jobs") == 1


@pytest.mark.parametrize(("status", "code"), [(503, "unavailable"), (429, "too_many_requests")])
def test_opening_a_stream_is_retried(scripted: ScriptedService, impatient: Transport, status: int, code: str) -> None:
    scripted.answer(f"GET {JOB}", (200, {"state": "running"}))
    away = [problem(status, code)] * (ATTEMPTS - 1)
    scripted.answer(f"GET {EVENTS}", *away, (200, event(1, "running")), *away, (200, event(2, "succeeded")))
    assert [found.id for found in stream_events(impatient, "job_1")] == [1, 2]


def test_a_stream_that_never_opens_raises_after_the_last_attempt(scripted: ScriptedService, impatient: Transport) -> None:
    scripted.answer(f"GET {EVENTS}", problem(503, "unavailable"))
    with pytest.raises(UnavailableError, match="Not now"):
        list(stream_events(impatient, "job_1"))
    assert scripted.times(f"GET {EVENTS}") == ATTEMPTS


def test_the_stream_of_an_unknown_job_is_requested_once(scripted: ScriptedService, impatient: Transport) -> None:
    scripted.answer(f"GET {EVENTS}", problem(404, "not_found"))
    with pytest.raises(NotFoundError):
        list(stream_events(impatient, "job_1"))
    assert scripted.times(f"GET {EVENTS}") == 1
