"""The pages of studies in a real browser, before a real service: a small study from its first job to its statistics."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import expect

from client.address import Address

SOON, LATER = 20_000, 240_000  # milliseconds
REPRESENTATIONS = 4


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
def study(stack: Address) -> str:
    """The address of a study of a few representations, just asked for."""
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=120) as api:
        datasets = []
        for number in range(REPRESENTATIONS):
            content = representation(0.6 + 0.5 * number, number)
            upload = api.post("/v1/uploads/small", files={"file": (f"{number}.npz", content)}).raise_for_status().json()["id"]
            body = {"kind": "features", "name": f"step {number} <b>", "upload": upload}
            datasets.append(api.post("/v1/datasets", json=body).raise_for_status().json()["id"])
        for dataset in datasets:
            seen: dict[str, Any] = {"state": "pending"}
            while seen["state"] == "pending":
                seen = api.get(f"/v1/datasets/{dataset}", headers={"Prefer": "wait=60"}).json()
            assert seen["state"] == "ready", seen["error"]
        body = {
            "name": "four steps",
            "datasets": datasets,
            "libraries": [{"kind": "prototype"}, {"kind": "cluster"}],
            "concept_counts": [6],
        }
        return api.post("/v1/studies", json=body).raise_for_status().json()["links"]["page"]


@pytest.mark.timeout(600)
def test_a_study_is_followed_to_its_table_and_its_statistics(visit: Callable[..., Any], study: str) -> None:
    visitor = visit()
    page = visitor.page
    visitor.sign_in()
    page.get_by_role("link", name="Studies").click()
    page.get_by_role("link", name="four steps").click()
    expect(page.get_by_role("heading", name="four steps")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("8 jobs of 8 finished.")).to_be_visible(timeout=LATER)
    expect(page.get_by_role("heading", name="Table of 8 results")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("heading", name="Interpretability against accuracy")).to_be_visible(timeout=LATER)
    expect(page.get_by_role("heading", name="Agreement of libraries")).to_be_visible()
    expect(page.locator(".plot .main-svg").first).to_be_visible(timeout=LATER)

    heading = page.get_by_role("columnheader", name="IIS", exact=True)
    page.get_by_role("button", name="IIS", exact=True).focus()
    page.keyboard.press("Enter")
    expect(heading).to_have_attribute("aria-sort", "descending")
    column = page.locator("#table tbody tr td.number:nth-child(4)")
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


def test_a_study_that_is_not_there_is_told_in_a_sentence(visit: Callable[..., Any]) -> None:
    visitor = visit()
    visitor.expected_statuses.add(404)
    visitor.sign_in()
    visitor.open("/studies/std_none")
    expect(visitor.page.get_by_role("alert")).to_contain_text("There is no study std_none", timeout=SOON)
