"""Strict numbers: where the document declares a number, false is not accepted as 0, nor "7" as 7."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

NOT_NUMBERS = (False, True, "1")


def test_booleans_and_strings_are_refused_as_numbers(client: TestClient) -> None:
    document = client.get("/v1/openapi.json").json()
    tried = set[str]()
    for method, path, schema in bodies(document):
        for name, declared in schema["properties"].items():
            if not is_numeric(declared):
                continue
            for wrong in NOT_NUMBERS:
                body = {**next(iter(schema.get("examples", [{}]))), name: wrapped(declared, wrong)}
                answer = client.request(method, path.replace("{", "").replace("}", ""), json=body)
                assert answer.status_code == 422, f"{method} {path} took {body}: {answer.text}"
                assert any(name in error["param"] for error in answer.json()["errors"]), f"{name}: {answer.text}"
            tried.add(f"{path} {name}")
    assert len(tried) >= 30
    assert {"/v1/api-keys/{key_id}/rotate grace_seconds", "/v1/studies seeds", "/v1/jobs lambda", "/v1/uploads size_bytes"} <= tried


@pytest.mark.parametrize("given", [0, 0.0, 60])
def test_an_integer_is_accepted_as_a_float(client: TestClient, given: float) -> None:
    spare = client.post("/v1/api-keys", json={"name": "spare"}).json()["id"]
    assert client.post(f"/v1/api-keys/{spare}/rotate", json={"grace_seconds": given}).status_code == 200


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and schema of each JSON object that an operation accepts, alternatives included."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            waiting = [schema] if schema else []
            while waiting:
                schema = waiting.pop()
                schema = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
                waiting += [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
                if "properties" in schema:
                    yield method.upper(), path, schema


def is_numeric(declared: dict[str, Any]) -> bool:
    text = json.dumps(declared)
    return '"type": "integer"' in text or '"type": "number"' in text


def wrapped(declared: dict[str, Any], value: Any) -> Any:
    """The value, nested in lists as the property declares."""
    for choice in (declared, *declared.get("anyOf", ())):
        if choice.get("type") == "array":
            items = choice.get("items") or choice["prefixItems"][0]
            return [wrapped(items, value)] * choice.get("minItems", 1)
    return value
