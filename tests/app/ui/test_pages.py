"""The pages and static files as HTTP: what they carry, what they keep out, and what a browser may keep of them."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import app.ui
from app.ui.routes import PAGES

FOLDER = Path(app.ui.__file__).parent
OURS = sorted(path for path in FOLDER.rglob("*") if path.suffix in {".html", ".js", ".css"})
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}


@pytest.fixture
def visitor(app: FastAPI) -> TestClient:
    """Somebody who has not signed in."""
    return TestClient(app, headers=BROWSER, follow_redirects=False)


def address(path: str) -> str:
    return re.sub(r"{[^}]+}", "x", path)


PATHS = ["/sign-in", *map(address, PAGES)]


@pytest.mark.parametrize("path", PATHS)
def test_every_page_carries_the_policy_and_nothing_inline(visitor: TestClient, path: str) -> None:
    page = visitor.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert set(page.headers["Content-Security-Policy"].split("; ")) == POLICY
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", page.text) == []
    assert re.findall(r"<script(?![^>]*\ssrc=\"/static/)", page.text) == []


@pytest.mark.parametrize("path", PATHS)
def test_whatever_a_page_names_is_served(visitor: TestClient, path: str) -> None:
    named = set(re.findall(r"/static/[^\"]+", visitor.get(path).text))
    assert len(named) >= 2
    for static in named:
        assert visitor.get(static).status_code == 200, static


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_nothing_of_ours_names_another_site_or_needs_what_the_policy_forbids(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"(?:https?:)?//[\w-]+\.\w", text) == []
    assert re.findall(r"\binnerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(.style", text) == []


@pytest.mark.parametrize("path", [path for path in OURS if path.suffix == ".js"], ids=lambda path: path.name)
def test_whatever_a_script_imports_is_there(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(r"from \"\./([^\"]+)\"|import\(\"\./([^\"]+)\"|new URL\(\"([^\"]+)\"", text):
        assert (path.parent / "".join(name)).is_file(), name
    assert text.startswith("// ")


def test_plotly_comes_from_here_compressed_and_finds_its_styles_in_place(visitor: TestClient) -> None:
    page = visitor.get("/compare").text
    script = visitor.get(re.search(r"/static/[^\"]+plotly.min.js", page)[0], headers={"Accept-Encoding": "gzip"})
    assert script.status_code == 200
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["content-encoding"] == "gzip"
    assert int(script.headers["content-length"]) < 2_000_000 < len(script.content)
    guarded = re.findall(r"if\(!document\.getElementById\(\"([0-9a-f]{64})\"\)\)", script.text)
    assert guarded
    for name in guarded:
        assert f'id="{name}"' in page
    assert 'id="plotly.js-style-global" class="no-inline-styles"' in page


def test_the_apis_own_pages_come_from_here_and_know_its_documents_version(visitor: TestClient) -> None:
    page = visitor.get("/v1/docs").text
    assert re.findall(r"(?:https?:)?//[\w-]+\.\w", page) == []
    script = visitor.get(re.search(r"/static/[^\"]+swagger-ui-bundle.js", page)[0])
    assert script.status_code == 200
    assert int(re.search(r'PACKAGE_VERSION:"(\d+)\.', script.text)[1]) >= 5  # the first that reads OpenAPI 3.1


def test_a_static_file_is_kept_for_good_under_its_own_address_alone(visitor: TestClient) -> None:
    current = re.search(r"/static/[^\"]+/page.css", visitor.get("/").text)[0]
    kept = visitor.get(current)
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert visitor.get(current, headers={"If-None-Match": kept.headers["etag"]}).status_code == 304
    older = visitor.get("/static/000000000000/page.css")
    assert (older.status_code, older.headers["cache-control"]) == (200, "no-cache")
    plain = visitor.get(current, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(gzip.compress(plain.content)) == kept.content == (FOLDER / "static" / "page.css").read_bytes()


@pytest.mark.parametrize("name", ["nothing.js", "..%2Froutes.py", "..%2F..%2Fauth.py", "%2Fetc%2Fpasswd"])
def test_only_static_files_are_served_as_such(visitor: TestClient, name: str) -> None:
    assert visitor.get(f"/static/x/{name}").status_code == 404


def test_a_browser_gets_a_page_where_there_is_nothing_and_everyone_else_a_problem(visitor: TestClient) -> None:
    missing = visitor.get("/no/such/page")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no such page" in missing.text
    assert "Content-Security-Policy" in missing.headers
    for path, headers in (("/no/such/page", {"Accept": "application/json"}), ("/v1/nothing", BROWSER)):
        answer = visitor.get(path, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_no_page_stands_in_the_api_document(client: TestClient) -> None:
    paths: dict[str, Any] = client.get("/v1/openapi.json").json()["paths"]
    assert all(path.startswith("/v1/") for path in paths)


def test_no_page_holds_anything_of_anybody(client: TestClient, rows: Any) -> None:
    job_id, _ = rows.succeeded_job()
    visitor = client.get(f"/jobs/{job_id}", headers={**BROWSER, "Authorization": ""}).text
    assert client.get(f"/jobs/{job_id}", headers=BROWSER).text == visitor
    assert job_id not in visitor
