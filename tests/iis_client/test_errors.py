"""Exceptions for problem responses and for jobs without a result."""

from __future__ import annotations

import json

import httpx
import pytest

from iis_client import InvalidInputError, JobCanceledError, JobFailedError, ServiceError, UnavailableError
from iis_client.errors import require_success, service_error
from iis_schemas.jobs.views import SCORE_JOB_EXAMPLE, ScoreJobView

ERROR = {"code": "no_test_images", "message": "Class cat has no test image."}


def answer(status: int, content: bytes) -> httpx.Response:
    return httpx.Response(status, content=content, request=httpx.Request("GET", "http://service/v1/jobs"))


def test_a_problem_becomes_the_exception_of_its_status_with_all_fields() -> None:
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
def test_an_error_page_of_a_proxy_becomes_a_sentence(status: int, kind: type[ServiceError]) -> None:
    error = service_error(answer(status, b"<html>go away</html>"))
    assert type(error) is kind
    assert str(status) in str(error)
    assert "GET /v1/jobs" in str(error)


def job_in(state: str) -> ScoreJobView:
    return ScoreJobView.model_validate({**SCORE_JOB_EXAMPLE, "id": "job_1", "state": state, "error": ERROR})


def test_a_job_without_a_result_raises_the_reason() -> None:
    with pytest.raises(JobFailedError, match="Class cat has no test image") as failed:
        require_success(job_in("failed"))
    assert failed.value.code == "no_test_images"
    with pytest.raises(JobCanceledError, match="canceled"):
        require_success(job_in("canceled"))
