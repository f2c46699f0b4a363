"""Bounds of the rows that an owner keeps where no quota counts them."""

from __future__ import annotations

from hashlib import sha256

import pytest
from fastapi.testclient import TestClient

from app.db import row_limits
from support.rows import Rows


def test_uploads_of_known_content_are_bounded(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_limits, "UPLOADS_MAX", 2)
    content = b"the same content"
    assert client.post("/v1/uploads/small", files={"file": ("a.npz", content)}).status_code == 201
    declared = {"filename": "b.npz", "size_bytes": len(content), "sha256": sha256(content).hexdigest()}
    known = client.post("/v1/uploads", json=declared)
    assert (known.status_code, known.json()["state"]) == (201, "complete")
    refused = client.post("/v1/uploads", json=declared)
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, "quota_exceeded", "3600")
    assert client.delete(known.json()["links"]["self"]).status_code == 204
    assert client.post("/v1/uploads", json=declared).status_code == 201


def test_answers_kept_for_idempotency_keys_are_bounded_and_replayed(
    client: TestClient, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_limits, "IDEMPOTENCY_KEYS_MAX", 2)
    data = {"kind": "features", "upload": rows.upload(b"features", "a.npz")}
    answers = [client.post("/v1/datasets", json=data, headers={"Idempotency-Key": key}) for key in ("a", "b", "c", "a")]
    assert [answer.status_code for answer in answers] == [201, 200, 429, 201]
    assert answers[3].headers["idempotency-replayed"] == "true"
    assert client.post("/v1/datasets", json=data).status_code == 200, "without a key nothing is kept"


def test_versions_of_concept_sets_are_bounded(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_limits, "CONCEPT_SET_VERSIONS_MAX", 2)
    phrases = {"phrases": [{"text": "a hooked bill"}]}
    made = client.post("/v1/concept-sets", json={"name": "bills", **phrases})
    assert made.status_code == 201, made.text
    at = made.json()["links"]["self"]
    assert [client.post(f"{at}/versions", json=phrases).status_code for _ in range(2)] == [201, 429]
    assert client.post("/v1/concept-sets", json={"name": "more", **phrases}).status_code == 429


def test_studies_and_their_cells_are_bounded(client: TestClient, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_limits, "STUDIES_MAX", 2)
    request = rows.study_request()
    made = client.post("/v1/studies", json=request)
    assert made.status_code == 201, made.text
    cells = made.json()["jobs"]["total"]
    monkeypatch.setattr(row_limits, "STUDY_CELLS_MAX", 2 * cells)
    assert [client.post("/v1/studies", json=request).status_code for _ in range(2)] == [201, 429]
    extended = client.post(f"{made.json()['links']['self']}/extend", json={"models": [{"model": rows.model()}]})
    assert (extended.status_code, extended.json()["code"]) == (429, "quota_exceeded")
