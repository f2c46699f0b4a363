"""What comes back from the service, before any of it is sent: streams of events, refusals, addresses."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from iis_client import ConfigurationError, InvalidInputError, JobCanceledError, JobFailedError, ServiceError, UnavailableError
from iis_client.errors import service_error
from iis_client.transport.address import find_address
from iis_client.transport.polling import require_success
from iis_client.transport.server_sent_events import parse
from iis_client.transport.uploads import MAX_PARTS, PART_BYTES, plan_parts

JOB = {"id": "job_1", "error": {"code": "no_test_images", "message": "Class cat has no test image."}}


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("IIS_URL", "IIS_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IIS_DATA_FOLDER", str(tmp_path))


def answer(status: int, content: bytes) -> httpx.Response:
    return httpx.Response(status, content=content, request=httpx.Request("GET", "http://service/v1/jobs"))


def test_a_problem_becomes_the_exception_of_its_status_with_all_it_says() -> None:
    problem = {
        "status": 422,
        "detail": "There is no library kind 'x'.",
        "code": "invalid_input",
        "request_id": "req_1",
        "errors": [{"param": "library.kind", "message": "no such kind", "code": "unknown_library"}],
    }
    error = service_error(answer(422, json.dumps(problem).encode()))
    assert type(error) is InvalidInputError
    assert (str(error), error.code, error.request_id, error.errors[0].param) == (
        "There is no library kind 'x'.",
        "invalid_input",
        "req_1",
        "library.kind",
    )


@pytest.mark.parametrize(("status", "kind"), [(503, UnavailableError), (418, ServiceError)])
def test_a_page_of_some_proxy_still_gives_a_sentence(status: int, kind: type[ServiceError]) -> None:
    error = service_error(answer(status, b"<html>go away</html>"))
    assert type(error) is kind
    assert str(status) in str(error)
    assert "GET /v1/jobs" in str(error)


def test_events_are_read_out_of_a_stream_past_comments_and_what_has_no_id() -> None:
    stream = """: connected
retry: 2000

id: 7
event: progress
data: {"id": 7, "type": "progress",
data: "data": {"stage": "extract", "done": 1}}

: ping

event: noise
data: {}

id: 9
data: {"id": 9, "type": "state", "data": {"state": "succeeded"}}

id: 10
data: {"cut off"
"""
    events = list(parse(stream.splitlines()))
    assert [(event["id"], event["type"]) for event in events] == [(7, "progress"), (9, "state")]
    assert events[0]["data"] == {"stage": "extract", "done": 1}


@pytest.mark.parametrize("size_bytes", [1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, PART_BYTES * MAX_PARTS + 1])
def test_parts_cover_a_file_once_in_order(size_bytes: int) -> None:
    parts = plan_parts(size_bytes)
    assert len(parts) <= MAX_PARTS
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert [part.start for part in parts[1:]] == [part.start + part.size_bytes for part in parts[:-1]]
    assert parts[0].start == 0
    assert parts[-1].start + parts[-1].size_bytes == size_bytes


def test_the_environment_says_where_the_service_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IIS_URL", "http://service:8000")
    monkeypatch.setenv("IIS_API_KEY", "iis_key")
    assert find_address().url == "http://service:8000"
    assert find_address("http://other", "iis_other").api_key == "iis_other"


def test_the_stack_of_this_machine_is_found_by_its_ready_file(tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("iis_key\n")
    (tmp_path / "ready.json").write_text(json.dumps({"url": "http://127.0.0.1:8000", "api_key_file": str(tmp_path / "api-key"), "pid": 1}))
    found = find_address()
    assert (found.url, found.api_key) == ("http://127.0.0.1:8000", "iis_key")


def test_without_any_service_the_way_to_one_is_named() -> None:
    with pytest.raises(ConfigurationError, match="iis up"):
        find_address()
    with pytest.raises(ConfigurationError, match="IIS_API_KEY"):
        find_address("http://service:8000")


def test_a_ready_file_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "ready.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"ready\.json"):
        find_address()


def test_a_job_without_a_result_raises_why() -> None:
    with pytest.raises(JobFailedError, match="Class cat has no test image") as failed:
        require_success({**JOB, "state": "failed"})  # type: ignore[typeddict-item]
    assert failed.value.code == "no_test_images"
    with pytest.raises(JobCanceledError, match="canceled"):
        require_success({**JOB, "state": "canceled"})  # type: ignore[typeddict-item]
