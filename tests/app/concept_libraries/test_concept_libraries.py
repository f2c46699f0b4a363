"""Concept libraries over HTTP: list, concepts, dropped phrases, download and nearest-neighbour search."""

from __future__ import annotations

import io
from math import sqrt
from typing import Any
from zipfile import ZipFile

import pytest
from fastapi.testclient import TestClient

from support.rows import Rows

AT = "/v1/concept-libraries"
PNG_START = b"\x89PNG\r\n\x1a\n a figure"


def test_the_list_is_paged_by_cursor_and_filtered_by_model_or_job(client: TestClient, rows: Rows) -> None:
    made = [rows.succeeded_job() for _ in range(3)]
    job_id, library_id = made[1]
    first = client.get(f"{AT}?limit=2").json()
    rest = client.get(first["links"]["next"]).json()
    assert [library["id"] for library in first["data"] + rest["data"]] == sorted((library for _, library in made), reverse=True)
    assert not rest["has_more"]
    model = client.get(f"/v1/jobs/{job_id}").json()["model"]
    for query in (f"job={job_id}", f"model={model}"):
        assert [library["id"] for library in client.get(f"{AT}?{query}").json()["data"]] == [library_id]


def test_a_library_has_its_job_kind_and_size(client: TestClient, rows: Rows) -> None:
    job_id, library_id = rows.succeeded_job()
    response = client.get(f"{AT}/{library_id}")
    library = response.json()
    assert (library["job"], library["kind"], library["concept_count"], library["dimension"]) == (job_id, "prototype", 4, 3)
    assert client.get(f"{AT}/{library_id}", headers={"If-None-Match": response.headers["etag"]}).status_code == 304


def test_concepts_are_paged_by_index(client: TestClient, rows: Rows) -> None:
    _, library_id = rows.succeeded_job()
    first = client.get(f"{AT}/{library_id}/concepts?limit=3").json()
    assert [concept["index"] for concept in first["data"]] == [0, 1, 2]
    assert first["data"][0]["exemplars"] == [{"image": "train/3/0041.png", "box": [0, 0, 8, 8], "similarity": 0.9, "crop": "41.png"}]
    rest = client.get(first["links"]["next"]).json()
    assert ([concept["index"] for concept in rest["data"]], rest["has_more"]) == ([3], False)
    assert client.get(f"{AT}/{library_id}/concepts?after=third").status_code == 422


def test_a_concept_has_its_name_and_the_scores_of_naming(client: TestClient, rows: Rows) -> None:
    _, library_id = rows.succeeded_job()
    named, unnamed = client.get(f"{AT}/{library_id}/concepts").json()["data"][:2]
    assert (named["label"], named["details"]["named"], named["details"]["margin"]) == ("a loop", True, 0.9)
    assert named["details"]["names"][0] == {"phrase": "a loop", "score": 3.1, "cosine": 0.31}
    assert (unnamed["label"], unnamed["details"]) == (None, None)
    near = client.post(f"{AT}/{library_id}/nearest", json={"vector": [1, 0, 0], "limit": 1}).json()["data"][0]
    assert (near["label"], near["details"]) == ("a loop", named["details"])


def test_dropped_phrases_are_paged_with_their_reasons(client: TestClient, rows: Rows) -> None:
    job_id = client.post("/v1/jobs", json=rows.request(library={"kind": "text"}, vlm=rows.vlm(), vocabulary="birds")).json()["id"]
    library_id = rows.succeed(job_id, rows.claim(job_id))
    at = client.get(f"{AT}/{library_id}").json()["links"]["dropped"]
    first = client.get(f"{at}?limit=1").json()
    assert first["data"] == [{"index": 0, "text": "a striped tail", "reason": "clip_cutoff", "details": {"clip_top5": 0.18}}]
    rest = client.get(first["links"]["next"]).json()
    assert ([dropped["text"] for dropped in rest["data"]], rest["has_more"]) == (["a beak"], False)
    assert client.get(f"{at}?after=second").status_code == 422


def test_the_download_is_the_stored_artifact(client: TestClient, rows: Rows) -> None:
    job_id, library_id = rows.succeeded_job()
    response = client.get(f"{AT}/{library_id}/download")
    assert response.content == f"safetensors of {job_id}".encode()
    assert f"{library_id}.safetensors" in response.headers["content-disposition"]
    assert client.get(f"{AT}/{library_id}/download", headers={"If-None-Match": response.headers["etag"]}).status_code == 304


def test_a_concept_links_to_its_crops(client: TestClient, rows: Rows) -> None:
    job_id, library_id = rows.succeeded_job()
    concept = client.get(f"{AT}/{library_id}/concepts").json()["data"][0]
    crop = client.get(f"{AT}/{library_id}/exemplars/{concept['exemplars'][0]['crop']}")
    assert (crop.headers["content-type"], crop.content) == ("image/png", PNG_START + job_id.encode())
    whole = client.get(f"{AT}/{library_id}/exemplars")
    assert whole.headers["content-type"] == "application/zip"
    assert ZipFile(io.BytesIO(whole.content)).read("41.png") == crop.content
    for absent in ("42.png", "..%2F41.png", "%00"):
        assert client.get(f"{AT}/{library_id}/exemplars/{absent}").status_code == 404
    assert "exemplars" not in client.get(f"{AT}/{library_id}").json()["settings"]


@pytest.mark.parametrize("length", [1.0, 1e300, 1e-300])
def test_the_nearest_concepts_are_ordered_by_cosine_similarity(client: TestClient, rows: Rows, length: float) -> None:
    _, library_id = rows.succeeded_job()
    near = client.post(f"{AT}/{library_id}/nearest", json={"vector": [length, length, 0], "limit": 3})
    assert near.status_code == 200, near.text
    assert [concept["index"] for concept in near.json()["data"]] == [3, 0, 1]
    expected = [1.4 / sqrt(2), 1 / sqrt(2), 1 / sqrt(2)]
    assert [concept["similarity"] for concept in near.json()["data"]] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"vector": [1, 2]}, "have 3"),
        ({"vector": [0, 0, 0]}, "no direction"),
        ({"vector": []}, "vector"),
        ({"vector": [1, 2, "x"]}, "vector.2"),
        ({"vector": [1, 2, 3], "limit": 101}, "limit"),
        ({"vector": [1, 2, 3], "metric": "l2"}, "metric"),
    ],
)
def test_an_unusable_search_vector_is_refused_with_a_reason(client: TestClient, rows: Rows, body: Any, word: str) -> None:
    _, library_id = rows.succeeded_job()
    response = client.post(f"{AT}/{library_id}/nearest", json=body)
    assert response.status_code == 422
    assert word in response.json()["detail"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1" + "0" * 400])
def test_a_search_vector_with_infinite_or_nan_numbers_is_refused(client: TestClient, rows: Rows, number: str) -> None:
    _, library_id = rows.succeeded_job()
    response = client.post(
        f"{AT}/{library_id}/nearest", content=f'{{"vector": [1, 2, {number}]}}', headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422
    assert response.json()["errors"][0]["param"] == "vector.2"


def test_another_owners_library_is_404_on_every_route(client: TestClient, other_rows: Rows) -> None:
    _, library_id = other_rows.succeeded_job()
    for path in ("", "/concepts", "/dropped", "/exemplars", "/exemplars/41.png", "/download"):
        assert client.get(f"{AT}/{library_id}{path}").status_code == 404
    assert client.post(f"{AT}/{library_id}/nearest", json={"vector": [1, 2, 3]}).status_code == 404
    assert client.get(AT).json()["data"] == []
