"""HTTP responses of the pages and static files: security headers, content, caching, errors."""

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
SOURCES = sorted(path for folder in ("static", "templates") for path in (FOLDER / folder).iterdir())
BROWSER_HEADERS = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
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
    """A browser that has not signed in."""
    return TestClient(app, headers=BROWSER_HEADERS, follow_redirects=False)


def first_match(pattern: str, text: str) -> str:
    """The first group of the first match."""
    match = re.search(pattern, text)
    assert match is not None, f"{pattern} does not match"
    return match[1]


def address(path: str) -> str:
    return re.sub(r"{[^}]+}", "x", path)


PATHS = ["/sign-in", *map(address, PAGES)]


@pytest.mark.parametrize("path", PATHS)
def test_every_page_has_security_headers_and_no_inline_code(visitor: TestClient, path: str) -> None:
    page = visitor.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert set(page.headers["Content-Security-Policy"].split("; ")) == POLICY
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", page.text) == []
    assert re.findall(r"<script(?![^>]*\ssrc=\"/static/)", page.text) == []


@pytest.mark.parametrize("path", PATHS)
def test_every_static_file_of_a_page_is_served(visitor: TestClient, path: str) -> None:
    named = set(re.findall(r"/static/[^\"]+", visitor.get(path).text))
    assert len(named) >= 2
    for static in named:
        assert visitor.get(static).status_code == 200, static


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_sources_use_no_other_host_and_no_forbidden_function(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"(?:https?:)?//[\w-]+\.\w", text) == []
    assert re.findall(r"\binnerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(.style", text) == []


@pytest.mark.parametrize("path", [path for path in SOURCES if path.suffix == ".js"], ids=lambda path: path.name)
def test_every_import_of_a_script_exists(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(r"from \"\./([^\"]+)\"|import\(\"\./([^\"]+)\"|new URL\(\"([^\"]+)\"", text):
        assert (path.parent / "".join(name)).is_file(), name
    assert text.startswith("// ")


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name.endswith("_page.js")], ids=lambda path: path.name)
def test_a_page_script_declares_its_constants_before_it_awaits(path: Path) -> None:
    """A function that runs during a top-level await cannot use what is declared after it."""
    _, _, after = path.read_text().partition("\nawait ")
    assert re.findall(r"^(?:const|let|class) \w+", after, re.MULTILINE) == []


def test_plotly_is_served_compressed_and_its_style_elements_exist(visitor: TestClient) -> None:
    page = visitor.get("/compare").text
    script = visitor.get(first_match(r"(/static/[^\"]+plotly.min.js)", page), headers={"Accept-Encoding": "gzip"})
    assert script.status_code == 200
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["content-encoding"] == "gzip"
    assert int(script.headers["content-length"]) < 2_000_000 < len(script.content)
    guarded = re.findall(r"if\(!document\.getElementById\(\"([0-9a-f]{64})\"\)\)", script.text)
    assert guarded
    for name in guarded:
        assert f'id="{name}"' in page
    assert 'id="plotly.js-style-global" class="no-inline-styles"' in page


def test_swagger_ui_is_served_locally_and_supports_openapi_3_1(visitor: TestClient) -> None:
    page = visitor.get("/v1/docs").text
    assert "Authorization: Bearer" in page
    assert "$url/v1/jobs/$job/result" in page
    assert re.findall(r"(?:https?:)?//[\w-]+\.\w", page) == []
    script = visitor.get(first_match(r"(/static/[^\"]+swagger-ui-bundle.js)", page))
    assert script.status_code == 200
    assert int(first_match(r'PACKAGE_VERSION:"(\d+)\.', script.text)) >= 5  # the first version with OpenAPI 3.1


def test_only_the_current_address_of_a_static_file_is_cached_permanently(visitor: TestClient) -> None:
    current = first_match(r"(/static/[^\"]+/page.css)", visitor.get("/").text)
    kept = visitor.get(current)
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert visitor.get(current, headers={"If-None-Match": kept.headers["etag"]}).status_code == 304
    older = visitor.get("/static/000000000000/page.css")
    assert (older.status_code, older.headers["cache-control"]) == (200, "no-cache")
    plain = visitor.get(current, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(gzip.compress(plain.content)) == kept.content == (FOLDER / "static" / "page.css").read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "types.d.ts",
        "package.json",
        "formatting.test.js",
        "..%2Ftypes.d.ts",
        "..%2Froutes.py",
        "..%2F..%2Fauth.py",
        "%2Fetc%2Fpasswd",
    ],
)
def test_other_files_are_not_served_as_static(visitor: TestClient, name: str) -> None:
    assert visitor.get(f"/static/x/{name}").status_code == 404


def test_404_is_a_page_for_browsers_and_a_problem_document_for_other_clients(visitor: TestClient) -> None:
    missing = visitor.get("/no/such/page")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Page not found" in missing.text
    assert "Content-Security-Policy" in missing.headers
    for path, headers in (("/no/such/page", {"Accept": "application/json"}), ("/v1/nothing", BROWSER_HEADERS)):
        response = visitor.get(path, headers=headers)
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


def test_pages_are_not_in_the_openapi_document(client: TestClient) -> None:
    paths: dict[str, Any] = client.get("/v1/openapi.json").json()["paths"]
    assert all(path.startswith("/v1/") for path in paths)


def test_pages_contain_no_user_data(client: TestClient, rows: Any) -> None:
    job_id, _ = rows.succeeded_job()
    visitor = client.get(f"/jobs/{job_id}", headers={**BROWSER_HEADERS, "Authorization": ""}).text
    assert client.get(f"/jobs/{job_id}", headers=BROWSER_HEADERS).text == visitor
    assert job_id not in visitor
