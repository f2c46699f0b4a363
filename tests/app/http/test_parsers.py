"""Property tests of parsers: headers, cursors, forms, file names and URLs are parsed as sent or refused as documented."""

from __future__ import annotations

import string
from contextlib import suppress
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.events.service import parse_cursor
from app.http.caching import MAX_WAIT_SECONDS, parse_wait
from app.http.idempotency import canonical_content
from app.http.pagination import ID_PATTERN, number_cursor
from app.webhook_security.addresses import InvalidUrl, read_url
from iis_schemas.uploads import MAX_FILENAME_CHARACTERS, bare_filename
from support.rows import Rows
from worker.jobs.artifacts import safe_name

over_http = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
quickly = settings(deadline=None, max_examples=100)

header_texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40)
digits = st.integers(0, 2**70).map(str)

READ_HEADERS: dict[str, st.SearchStrategy[str]] = {
    "Prefer": header_texts | digits.map(lambda number: f"respond-async, wait={number}"),
    "Last-Event-ID": header_texts | digits,
    "If-None-Match": header_texts | st.lists(header_texts).map(lambda tags: ", ".join(f'"{tag}"' for tag in tags)),
    "Range": header_texts | st.tuples(digits, digits).map(lambda ends: f"bytes={ends[0]}-{ends[1]}"),
    "If-Modified-Since": header_texts,
    "Accept": header_texts | st.just("text/event-stream"),
    "Accept-Encoding": header_texts,
    "Authorization": header_texts | header_texts.map(lambda key: f"Bearer iis_{key}"),
    "Cookie": header_texts | header_texts.map(lambda key: f"iis_key={key}"),
    "X-Request-Id": header_texts,
    "Sec-Fetch-Site": header_texts,
}


@pytest.fixture
def read_at(client: TestClient, rows: Rows) -> dict[str, str]:
    """URLs of operations that read headers, by path in the document."""
    job_id, library_id = rows.succeeded_job()
    return {
        "/v1/jobs": "/v1/jobs",
        "/v1/jobs/{job_id}": f"/v1/jobs/{job_id}",
        "/v1/jobs/{job_id}/events": f"/v1/jobs/{job_id}/events",
        "/v1/jobs/{job_id}/curves": f"/v1/jobs/{job_id}/curves",
        "/v1/jobs/{job_id}/plots/{name}.{plot_format}": f"/v1/jobs/{job_id}/plots/arr.png",
        "/v1/concept-libraries/{library_id}/download": f"/v1/concept-libraries/{library_id}/download",
    }


def require_declared(app: FastAPI, answer: Any, method: str, path: str) -> None:
    """Check that the document declares the status for this operation, and that errors are problems."""
    declared = app.openapi()["paths"][path][method]["responses"]
    assert str(answer.status_code) in {*declared, "304"}, answer.text
    if answer.is_error:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


@over_http
@given(data=st.data())
def test_responses_to_random_headers_match_the_document(
    app: FastAPI, client: TestClient, read_at: dict[str, str], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(sorted(read_at)))
    given = {name: data.draw(READ_HEADERS[name]) for name in data.draw(st.sets(st.sampled_from(sorted(READ_HEADERS)), min_size=1))}
    answer = client.get(read_at[path], headers={name.encode(): text.encode("latin-1") for name, text in given.items()})
    require_declared(app, answer, "get", path)
    if answer.status_code == 200 and "Range" in given and not answer.headers["content-type"].startswith("text/event-stream"):
        assert answer.content == client.get(read_at[path]).content  # RFC 9110 allows a server to ignore Range


@over_http
@given(before=st.lists(header_texts.map(lambda text: text.replace(",", " "))), after=st.lists(header_texts))
def test_an_etag_matches_among_arbitrary_others(client: TestClient, read_at: dict[str, str], before: list[str], after: list[str]) -> None:
    at = read_at["/v1/jobs/{job_id}/curves"]
    tag = client.get(at).headers["etag"]
    given = ", ".join((*before, tag, *after))
    assert client.get(at, headers={b"If-None-Match": given.encode("latin-1")}).status_code == 304


@quickly
@given(st.text())
@example("wait=²")
def test_a_preferred_wait_is_at_most_a_minute(prefer: str) -> None:
    assert 0 <= parse_wait(prefer) <= MAX_WAIT_SECONDS


@quickly
@given(
    st.integers(0, 999_999), st.sampled_from(["", "respond-async, ", "foo; ", "handling=lenient,"]), st.sampled_from(["", ", foo", ";x"])
)
def test_a_wait_is_parsed_among_other_preferences(seconds: int, before: str, after: str) -> None:
    assert parse_wait(f"{before}wait={seconds}{after}") == min(seconds, MAX_WAIT_SECONDS)


@quickly
@given(st.text() | digits | st.from_regex(ID_PATTERN))
@example("9223372036854775807")
@example("9223372036854775808")
@example("٣")
def test_an_event_cursor_is_a_63_bit_number_or_refused(text: str) -> None:
    with suppress(InvalidInput):
        assert parse_cursor(text, "after") == (int(text) if text else 0) < 2**63


@quickly
@given(st.text() | digits | st.from_regex(ID_PATTERN))
@example("2147483648")
def test_a_number_cursor_is_a_31_bit_number_or_refused(text: str) -> None:
    with suppress(InvalidInput):
        assert number_cursor(text) == int(text) < 2**31


@over_http
@given(name=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
@example("arr.png")
@example("../result")
@example("arr.png\0")
@example("img_\0")
def test_unknown_figure_and_image_names_are_not_found(app: FastAPI, client: TestClient, read_at: dict[str, str], name: str) -> None:
    job = read_at["/v1/jobs/{job_id}"]
    written = quote(name, safe="")
    figure = client.get(f"{job}/plots/x{written}.png")
    require_declared(app, figure, "get", "/v1/jobs/{job_id}/plots/{name}.{plot_format}")
    assert figure.status_code != 200
    posted = client.get(f"{job}/explanations/img_{written.replace('%2F', '_')}/image.png")
    require_declared(app, posted, "get", "/v1/jobs/{job_id}/explanations/{image}/image.png")
    assert posted.status_code != 200


@quickly
@given(st.text() | st.text("./\\ \0\x01a\u202e", max_size=8))
@example("..")
@example("a/\x00..")
@example(".\x01.")
def test_a_filename_is_reduced_to_one_printable_name(name: str) -> None:
    bare = bare_filename(name)
    assert 0 < len(bare) <= MAX_FILENAME_CHARACTERS
    assert bare.isprintable()
    assert not {"/", "\\"} & set(bare)
    assert bare not in {".", ".."}
    assert bare_filename(bare) == bare


@quickly
@given(st.text() | st.text("./\\-_a", max_size=8))
@example("..")
def test_a_filename_on_disk_is_plain_ascii_without_a_path(name: str) -> None:
    safe = safe_name(bare_filename(name))
    assert set(safe) <= set(string.ascii_letters + string.digits + "._-")
    assert safe
    assert not safe.startswith(".")


@over_http
@given(
    content=st.binary(min_size=1, max_size=200),
    filename=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
    key=st.none() | st.text(string.printable.strip(), min_size=1, max_size=20),
)
def test_a_form_is_parsed_as_sent(client: TestClient, content: bytes, filename: str, key: str | None) -> None:
    digest = sha256(content).hexdigest()
    headers = {"Idempotency-Key": f"{digest} {key}"} if key else {}
    answer = client.post("/v1/uploads/small", files={"file": (filename, content)}, data={"sha256": digest}, headers=headers)
    assert answer.status_code == 201 or (key and answer.json()["code"] == "idempotency_key_reused"), answer.text
    if answer.status_code == 201:
        assert (answer.json()["sha256"], answer.json()["size_bytes"]) == (digest, len(content))


PIECES = (
    *(b"--b\r\n", b"--b", b"--b--", b"--b--\r\n", b"\r\n", b"\r\n\r\n", b"\n", b"--", b"\0", b"text"),
    *(
        b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n',
        b"Content-Disposition: form-data",
        b"Content-Type: text/plain\r\n",
    ),
    *(b'Content-Disposition: form-data; name="sha256"\r\n\r\n', b"Content-Transfer-Encoding: base64\r\n", b": \r\n"),
    *(b"Content-Disposition: form-data; name*=utf-8''file; filename*=utf-16''%ff\r\n\r\n", b'Content-Disposition: x; name="\\"\r\n'),
)
CONTENT_TYPES = (
    "multipart/form-data; boundary=b",
    'multipart/form-data; boundary="b"',
    "multipart/form-data",
    "application/x-www-form-urlencoded",
)


@over_http
@given(
    body=st.lists(st.sampled_from(PIECES) | st.binary(max_size=6), max_size=10).map(b"".join),
    media=st.sampled_from(CONTENT_TYPES) | header_texts.map(lambda text: f"multipart/form-data; boundary{text}") | header_texts,
    once=st.booleans(),
)
def test_random_bytes_are_parsed_as_a_form_or_refused(app: FastAPI, client: TestClient, body: bytes, media: str, once: bool) -> None:
    headers = {b"Content-Type": media.encode("latin-1")} | ({b"Idempotency-Key": sha256(body).hexdigest().encode()} if once else {})
    answer = client.post("/v1/uploads/small", content=body, headers=headers)
    require_declared(app, answer, "post", "/v1/uploads/small")


@quickly
@given(st.none() | header_texts | header_texts.map(lambda text: f"multipart/form-data; boundary={text}"), st.binary())
@example("multipart/form-data; boundary*=utf-8''b", b"--b")
@example("multipart/form-data; boundary*=nonsense''b", b"--b")
def test_any_content_type_and_body_have_canonical_content(content_type: str | None, body: bytes) -> None:
    assert canonical_content(content_type, body) == canonical_content(content_type, body)


@quickly
@given(
    st.text("0123456789abcdefxXlocalhost.:[]%@-_/?#\\ é", max_size=30).map(lambda rest: f"https://{rest}")
    | st.ip_addresses().map(lambda address: f"https://[{address}]:443/" if address.version == 6 else f"https://{address}")
    | st.text(max_size=40)
)
@example("https://[::1")
@example("https://example.org:99999")
@example("https://example.org:²")
def test_a_webhook_url_is_refused_or_parses_to_itself(url: str) -> None:
    with suppress(InvalidUrl):
        target = read_url(url, [], allow_http=False)
        assert read_url(target.url, [], allow_http=False) == target


@pytest.mark.parametrize("value", [0, 1, "true", "no"])
def test_booleans_are_only_true_and_false(client: TestClient, rows: Rows, value: Any) -> None:
    webhook = client.post("/v1/webhooks", json={"url": "https://example.org/", "enabled": value})
    study = client.post("/v1/studies", json=rows.study_request(evolution=value))
    assert [answer.status_code for answer in (webhook, study)] == [422, 422]
    assert [answer.json()["errors"][0]["param"] for answer in (webhook, study)] == ["enabled", "evolution"]
