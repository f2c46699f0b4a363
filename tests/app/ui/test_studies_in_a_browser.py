"""The pages of studies in a real browser, before a real service: a small study from its first job to its statistics."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect

from iis_client.transport.address import Address

BRIEFLY, SOON, LATER = 2_000, 20_000, 240_000  # milliseconds
REPRESENTATIONS = 2
POLL = 3000  # milliseconds between two looks of the page at a study that runs


def representation(quality: float, seed: int) -> bytes:
    """Ready features of three classes, the better told apart the higher the quality."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(3, 6)) * quality
    labels = np.repeat(np.arange(3), 30)
    arrays = {f"y_{split}": labels for split in ("train", "test")}
    for name in ("X_train", "X_test", "concepts"):
        arrays[name] = (centres[labels] + generator.normal(size=(len(labels), 6))).astype(np.float32)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def api(stack: Address) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {stack.api_key}"}, timeout=120) as connected:
        yield connected


@pytest.fixture(scope="module")
def datasets(api: httpx.Client) -> list[str]:
    """Ready data sets, each a representation of the same data."""
    made = []
    for number in range(REPRESENTATIONS):
        content = representation(0.6 + 1.5 * number, number)
        upload = api.post("/v1/uploads/small", files={"file": (f"{number}.npz", content)}).raise_for_status().json()["id"]
        body = {"kind": "features", "name": f"step {number} <b>", "upload": upload}
        made.append(api.post("/v1/datasets", json=body).raise_for_status().json()["id"])
    for dataset in made:
        seen: dict[str, Any] = {"state": "pending"}
        while seen["state"] == "pending":
            seen = api.get(f"/v1/datasets/{dataset}", headers={"Prefer": "wait=60"}).json()
        assert seen["state"] == "ready", seen["error"]
    return made


@pytest.fixture(scope="module")
def study(api: httpx.Client, datasets: list[str]) -> str:
    """The address of a study of a few representations, just asked for."""
    libraries = [{"kind": "prototype"}, {"kind": "cluster"}]
    body = {"name": "two steps", "datasets": datasets, "libraries": libraries, "concept_counts": [6]}
    return api.post("/v1/studies", json=body).raise_for_status().json()["links"]["page"]


@pytest.fixture
def failing(api: httpx.Client, datasets: list[str]) -> dict[str, Any]:
    """A study of very many jobs that ask for more concepts than there are elements, of which one has failed."""
    library = {"kind": "cluster", "concept_count": 500}
    body = {"name": "bound to fail", "datasets": datasets[:1], "libraries": [library], "seeds": list(range(500))}
    seen = api.post("/v1/studies", json=body).raise_for_status().json()
    while not seen["jobs"]["failed"]:
        seen = api.get(seen["links"]["self"], headers={"Prefer": "wait=1"}).json()
    return seen


@pytest.mark.timeout(600)
def test_a_study_is_followed_to_its_table_and_its_statistics(visit: Callable[..., Any], study: str) -> None:
    visitor = visit()
    page = visitor.page
    visitor.sign_in()
    page.get_by_role("link", name="Studies").click()
    page.get_by_role("link", name="two steps").click()
    expect(page.get_by_role("heading", name="two steps")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("heading", name="Table of")).to_be_visible(timeout=LATER)  # with the first result
    sort = page.get_by_role("button", name="IIS", exact=True)
    sort.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("4 jobs of 4 finished.")).to_be_visible(timeout=LATER)
    expect(page.get_by_role("heading", name="Table of 4 results")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("columnheader", name="IIS", exact=True)).to_have_attribute("aria-sort", "descending")  # still
    expect(page.locator("button.sort:focus")).to_contain_text("IIS")
    expect(page.get_by_role("heading", name="Interpretability against accuracy")).to_be_visible(timeout=LATER)
    expect(page.get_by_role("heading", name="Agreement of libraries")).to_be_visible()
    page.locator(".plot").last.scroll_into_view_if_needed()
    expect(page.locator(".plot .main-svg").last).to_be_visible(timeout=LATER)
    column = page.locator("#table tbody tr td.number:nth-child(5)")
    shown = [float(text.split()[0]) for text in column.all_inner_texts() if text != "near chance"]
    assert shown == sorted(shown, reverse=True)
    for name in ("CSV", "Parquet", "PNG"):
        found = page.request.get(visitor.address.url + str(page.get_by_role("link", name=name).first.get_attribute("href")))
        assert found.ok, name


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_every_page_of_studies_fits_the_window(visit: Callable[..., Any], study: str, width: int, scheme: str) -> None:
    visitor = visit(width, scheme)
    visitor.sign_in()
    for path in ("/studies", study, "/leaderboard"):
        visitor.open(path)
        visitor.page.wait_for_function(
            "() => !document.querySelector('[aria-busy]') && document.querySelector('section > *')", timeout=LATER
        )
        assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the window"
        expect(visitor.page.get_by_role("alert")).to_have_count(0)


@pytest.mark.timeout(600)
def test_what_the_reader_opened_stays_while_a_study_is_followed(visit: Callable[..., Any], failing: dict[str, Any]) -> None:
    visitor = visit()
    page = visitor.page
    visitor.expected_statuses.add(503)
    page.clock.install()
    visitor.sign_in()
    visitor.open(failing["links"]["page"])
    page.get_by_role("button", name="Why did some fail?").click()
    reason = page.get_by_text("visual elements").first
    expect(reason).to_be_visible(timeout=SOON)
    page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))  # from here on the page looks only when it is told to

    asked: list[str] = []
    own = visitor.address.url + failing["links"]["self"]
    page.on("request", lambda request: asked.append(request.method) if (request.url, request.method) == (own, "GET") else None)

    def look() -> None:
        while True:
            try:
                with page.expect_request(lambda request: (request.url, request.method) == (own, "GET"), timeout=BRIEFLY) as looking:
                    page.clock.fast_forward(POLL)
            except PlaywrightTimeout:
                continue  # the page was not yet done with what it last read, and had set no time for the next look
            looking.value.response()
            return

    with page.expect_response("**/extend"):
        page.get_by_role("button", name="Try again what has no result").click()
    cancel = page.get_by_role("button", name="Cancel")
    cancel.focus()
    asked.clear()
    for _ in range(3):
        look()
    assert len(asked) == 3
    expect(reason).to_be_visible()
    expect(cancel).to_be_focused()

    busy = {"status": 503, "code": "unavailable", "detail": "The database is away.", "request_id": "req_1"}
    page.route("**/cancel", lambda route: route.fulfill(status=503, json=busy))
    cancel.click()
    expect(page.get_by_text("The database is away.")).to_be_visible()
    look()
    expect(page.get_by_text("The database is away.")).to_be_visible()
    page.unroute("**/cancel")
    with page.expect_response("**/cancel"):
        page.keyboard.press("Enter")
    page.clock.resume()
    expect(page.locator("#study-state")).to_contain_text("finished", timeout=LATER)
    expect(cancel).to_be_hidden()
    expect(page.locator(".progress-words")).to_be_focused()
    expect(page.get_by_text("The database is away.")).to_be_hidden()
    expect(reason).to_be_visible()


def test_a_study_that_is_not_there_is_told_in_a_sentence(visit: Callable[..., Any]) -> None:
    visitor = visit()
    visitor.expected_statuses.add(404)
    visitor.sign_in()
    visitor.open("/studies/std_none")
    expect(visitor.page.get_by_role("alert")).to_contain_text("There is no study std_none", timeout=SOON)
