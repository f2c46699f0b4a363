"""Unknown query parameters are refused by name."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from iis_schemas.problems import Problem


@pytest.mark.parametrize(
    ("path", "param", "sentence"),
    [
        ("/v1/jobs?stat=failed", "stat", "'stat' is not a query parameter of this address; did you mean 'state'?"),
        ("/v1/models?limit=5&page=2", "page", "'page' is not a query parameter of this address; it takes after, limit"),
        ("/v1/quotas?limit=5", "limit", "'limit' is not a query parameter of this address; it takes none."),
        ("/v1/jobs?state=failed&STATE=failed", "STATE", "'STATE' is not a query parameter of this address"),
    ],
)
def test_an_unknown_query_parameter_is_named(client: TestClient, path: str, param: str, sentence: str) -> None:
    answer = client.get(path)
    problem = Problem.model_validate_json(answer.content)
    assert (answer.status_code, problem.code, problem.errors[0].param) == (422, "unknown_parameter", param)
    assert sentence in problem.detail


def test_known_query_parameters_are_taken(client: TestClient) -> None:
    assert client.get("/v1/jobs?state=failed&limit=5").status_code == 200


def test_each_route_refuses_an_unknown_query_parameter(client: TestClient) -> None:
    refused = 0
    for path, methods in client.get("/v1/openapi.json").json()["paths"].items():
        for method in methods:
            answer = client.request(method, re.sub(r"{\w+}", "1", path), params={"unheard_of": "1"})
            assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter"), f"{method} {path}: {answer.text}"
            refused += 1
    assert refused >= 90
