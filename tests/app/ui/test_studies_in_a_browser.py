"""Studies in a real browser: progress, table, statistics, failures and actions."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect

from iis_client.transport.address import Address
from support.browser import OpenWindow, Scheme, Window

BRIEFLY, SOON, LATER = 2_000, 20_000, 240_000  # milliseconds
REPRESENTATIONS = 2
REFRESH = 3_000  # milliseconds between two updates of the page of a running study
UNAVAILABLE = {"status": 503, "code": "unavailable", "detail": "The database is unavailable.", "request_id": "req_1"}


@contextmanager
def connect(account: Address) -> Generator[httpx.Client]:
    with httpx.Client(base_url=account.url, headers={"Authorization": f"Bearer {account.api_key}"}, timeout=120) as api:
        yield api


def representation(separation: float, seed: int) -> bytes:
    """Precomputed features of three classes as npz."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(3, 6)) * separation
    labels = np.repeat(np.arange(3), 30)
    arrays: dict[str, Any] = {f"y_{split}": labels for split in ("train", "test")}
    for name in ("X_train", "X_test", "concepts"):
        arrays[name] = (centres[labels] + generator.normal(size=(len(labels), 6))).astype(np.float32)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def create_datasets(api: httpx.Client, count: int) -> list[str]:
    """Create representations of the same data and return the ids of the ready data sets."""
    created = []
    for number in range(count):
        content = representation(0.6 + 1.5 * number, number)
        upload = api.post("/v1/uploads/small", files={"file": (f"{number}.npz", content)}).raise_for_status().json()["id"]
        body = {"kind": "features", "name": f"step {number} <b>", "upload": upload}
        created.append(api.post("/v1/datasets", json=body).raise_for_status().json()["id"])
    for dataset in created:
        view: dict[str, Any] = {"state": "pending"}
        while view["state"] == "pending":
            view = api.get(f"/v1/datasets/{dataset}", headers={"Prefer": "wait=60"}).json()
        assert view["state"] == "ready", view["error"]
    return created


def create_study(account: Address) -> dict[str, Any]:
    """Create a study of two representations and two libraries: four jobs."""
    with connect(account) as api:
        libraries = [{"kind": "prototype"}, {"kind": "cluster"}]
        datasets = create_datasets(api, REPRESENTATIONS)
        body = {"name": "two steps", "datasets": datasets, "libraries": libraries, "concept_counts": [6]}
        return api.post("/v1/studies", json=body).raise_for_status().json()


@pytest.fixture
def study(account: Address) -> dict[str, Any]:
    return create_study(account)


@pytest.fixture(scope="module")
def shared_study(shared_account: Address) -> dict[str, Any]:
    return create_study(shared_account)


@pytest.fixture
def failing_study(account: Address) -> Iterator[dict[str, Any]]:
    """A study of 500 jobs, each with more concepts than elements; at least one has failed."""
    with connect(account) as api:
        library = {"kind": "cluster", "concept_count": 500}
        body = {"name": "too many concepts", "datasets": create_datasets(api, 1), "libraries": [library], "seeds": list(range(500))}
        view = api.post("/v1/studies", json=body).raise_for_status().json()
        while not view["jobs"]["failed"]:
            view = api.get(view["links"]["self"], headers={"Prefer": "wait=1"}).json()
        yield view
        api.post(view["links"]["cancel"])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_study_is_followed_from_its_progress_to_its_statistics(open_window: OpenWindow, account: Address, study: dict[str, Any]) -> None:
    window = open_window(account)
    page = window.page
    window.sign_in()
    page.get_by_role("link", name="Studies").click()
    page.get_by_role("link", name=study["name"]).click()
    expect(page.get_by_role("heading", name=study["name"])).to_be_visible(timeout=SOON)
    expect(page.get_by_role("heading", name="Table of")).to_be_visible(timeout=LATER)  # with the first result
    sort = page.get_by_role("button", name="IIS", exact=True)
    sort.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("4 jobs of 4 finished.")).to_be_visible(timeout=LATER)
    expect(page.get_by_role("heading", name="Table of 4 results")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("columnheader", name="IIS", exact=True)).to_have_attribute("aria-sort", "descending")  # kept
    expect(page.locator("button.sort:focus")).to_contain_text("IIS")
    expect(page.get_by_role("heading", name="IIS against accuracy")).to_be_visible(timeout=LATER)
    expect(page.get_by_role("heading", name="Agreement of libraries")).to_be_visible()
    complete = page.locator(".plot[aria-label^='IIS against'][aria-label*='step 0'][aria-label*='step 1']")  # a plot for each library
    expect(complete).to_have_count(2, timeout=LATER)
    complete.last.scroll_into_view_if_needed()
    expect(page.locator(".plot .main-svg").last).to_be_visible(timeout=LATER)
    headings = page.locator("#table thead th").all_inner_texts()
    place = next(number for number, heading in enumerate(headings, 1) if heading.startswith("IIS"))
    column = page.locator(f"#table tbody tr > :nth-child({place})")
    shown = [float(text.split()[0]) for text in column.all_inner_texts() if text != "near chance"]
    assert shown == sorted(shown, reverse=True)
    for name in ("CSV", "Parquet", "PNG"):
        link = page.get_by_role("link", name=name).first.get_attribute("href")
        assert page.request.get(f"{account.url}{link}").ok, name


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_every_study_page_fits_the_window(
    open_window: OpenWindow, shared_account: Address, shared_study: dict[str, Any], width: int, scheme: Scheme
) -> None:
    window = open_window(shared_account, width, scheme)
    window.sign_in()
    for path in ("/studies", shared_study["links"]["page"], "/leaderboard"):
        window.open(path)
        window.page.wait_for_function(
            "() => !document.querySelector('[aria-busy]') && document.querySelector('section > *')", timeout=LATER
        )
        assert window.fits(), f"{path} is wider than the window"
        expect(window.page.get_by_role("alert")).to_have_count(0)


class StudyClock:
    """Stops the clock of a study's page, so that the page updates only on request."""

    def __init__(self, window: Window, study: dict[str, Any]) -> None:
        self.page = window.page
        self.address = window.account.url + study["links"]["self"]
        self.updates = 0
        self.page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
        self.page.on("request", lambda request: self._count(request.url, request.method))

    def update(self) -> None:
        """Let the page request the study once more and read the response."""
        while True:
            try:
                with self.page.expect_request(self._is_update, timeout=BRIEFLY) as update:
                    self.page.clock.fast_forward(REFRESH)
            except PlaywrightTimeout:
                continue  # the page still handled the previous response and had not scheduled the next update
            update.value.response()
            return

    def _is_update(self, request: Any) -> bool:
        return (request.url, request.method) == (self.address, "GET")

    def _count(self, url: str, method: str) -> None:
        self.updates += (url, method) == (self.address, "GET")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_updates_of_a_study_keep_focus_messages_and_opened_reasons(
    open_window: OpenWindow, account: Address, failing_study: dict[str, Any]
) -> None:
    window = open_window(account)
    page = window.page
    window.expected_statuses.add(503)
    page.clock.install()
    window.sign_in()
    window.open(failing_study["links"]["page"])
    page.get_by_role("button", name="Show failure reasons").click()
    reason = page.get_by_text("visual elements").first
    expect(reason).to_be_visible(timeout=SOON)
    clock = StudyClock(window, failing_study)

    with page.expect_response("**/extend"):
        page.get_by_role("button", name="Retry failed and canceled jobs").click()
    cancel = page.get_by_role("button", name="Cancel", exact=True)
    cancel.focus()
    clock.updates = 0
    for _ in range(3):
        clock.update()
    assert clock.updates == 3
    expect(reason).to_be_visible()
    expect(cancel).to_be_focused()

    page.route("**/cancel", lambda route: route.fulfill(status=503, json=UNAVAILABLE))
    cancel.click()
    expect(page.get_by_text("The database is unavailable.")).to_be_visible()
    clock.update()
    expect(page.get_by_text("The database is unavailable.")).to_be_visible()
    page.unroute("**/cancel")
    with page.expect_response("**/cancel"):
        page.keyboard.press("Enter")
    page.clock.resume()
    expect(page.locator("#study-state")).to_contain_text("finished", timeout=LATER)
    expect(cancel).to_be_hidden()
    expect(page.locator(".progress-status")).to_be_focused()
    expect(page.get_by_text("The database is unavailable.")).to_be_hidden()
    expect(reason).to_be_visible()


def test_a_missing_study_is_reported(open_window: OpenWindow, account: Address) -> None:
    window = open_window(account)
    window.expected_statuses.add(404)
    window.sign_in()
    window.open("/studies/std_none")
    expect(window.page.get_by_role("alert")).to_contain_text("std_none", timeout=SOON)
