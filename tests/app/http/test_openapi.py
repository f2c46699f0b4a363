"""OpenAPI document: version 3.1, examples and errors of every operation, agreement with the responses of the API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from app.openapi_document import main
from support.tenants import Tenant

COMMITTED = Path(__file__).parents[3] / "openapi.json"
EXAMPLES_PER_OPERATION = 5
STREAMS = {"/v1/jobs/{job_id}/events"}


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    return client.get("/v1/openapi.json").json()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def has_example(document: dict[str, Any], media: dict[str, Any]) -> bool:
    if "example" in media or "examples" in media:
        return True
    schema = media.get("schema", {})
    if schema.get("format") == "binary":
        return True
    for choice in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        named = document["components"]["schemas"].get(choice.get("$ref", "").rpartition("/")[2], choice)
        if named.get("examples") or named.get("example"):
            return True
    return False


def test_every_operation_has_an_example(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    without = []
    for name, operation in operations(document):
        bodies = [operation.get("requestBody", {}).get("content", {})]
        bodies += [answer.get("content", {}) for status, answer in operation["responses"].items() if status.startswith("2")]
        for content in bodies:
            without += [f"{name} {kind}" for kind, media in content.items() if "multipart" not in kind and not has_example(document, media)]
    assert without == []


def test_every_operation_declares_its_refusals_as_problems(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        refusals = {status: answer for status, answer in operation["responses"].items() if status.startswith(("4", "5"))}
        assert set(refusals) >= {"401", "403", "422", "429", "503"}, name
        assert "{" not in name or "404" in refusals, name
        for status, answer in refusals.items():
            assert list(answer["content"]) == ["application/problem+json"], f"{name} {status}"


def test_every_authenticated_operation_names_its_required_scope(document: dict[str, Any]) -> None:
    needed = {name: operation["security"] for name, operation in operations(document)}
    assert needed["GET /v1/jobs"] == needed["POST /v1/studies/estimate"] == [{"HTTPBearer": ["read"]}]
    assert needed["POST /v1/jobs"] == [{"HTTPBearer": ["write"]}]
    assert needed["GET /v1/api-keys"] == [{"HTTPBearer": ["admin"]}]
    assert {name for name, choices in needed.items() if not choices} == {
        f"GET /v1/{path}" for path in ("health/live", "health/ready", "metrics")
    }


def test_every_operation_has_an_id_a_summary_and_a_tag_of_its_own_kind(document: dict[str, Any]) -> None:
    found = [operation for _, operation in operations(document)]
    ids, summaries = ([operation[field] for operation in found] for field in ("operationId", "summary"))
    assert {"createJob", "listModels", "getJobResult"} <= set(ids)
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", name) for name in ids)
    assert all(re.fullmatch(r"[A-Z].*\.", summary) for summary in summaries)
    assert (len(set(ids)), len(set(summaries))) == (len(found), len(found))
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert {tag for operation in found for tag in operation["tags"]} == tags.keys()
    assert all(sentence.endswith(".") for sentence in tags.values())


def test_the_committed_document_is_that_of_the_api(document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(COMMITTED.read_text()) == document, "run `make openapi`"
    assert "servers" not in document
    assert main(["--check", str(COMMITTED)]) == 0
    other = tmp_path / "openapi.json"
    other.write_text(COMMITTED.read_text().replace("createJob", "makeJob"))
    assert main(["--check", str(other)]) == 1
    assert '"operationId": "createJob"' in capsys.readouterr().err


def explore(operation: Any, checks: list[Any], headers: dict[str, str]) -> None:
    """Send a few random requests to one operation."""

    @settings(
        max_examples=EXAMPLES_PER_OPERATION,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=cast("list[HealthCheck]", list(HealthCheck)),
    )
    @given(case=operation.as_strategy())
    def matches_document(case: Any) -> None:
        case.call_and_validate(checks=checks, headers=headers)

    matches_document()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_responses_to_random_requests_match_the_document(app: FastAPI, tenant: Tenant) -> None:
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", app)
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    tried = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.path in STREAMS:
            continue
        explore(operation, checks, tenant.headers)
        tried += 1
    assert tried >= 20
