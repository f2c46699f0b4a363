"""Lists and pages of libraries, vocabularies and webhooks, two images side by side, and comparisons, in a real browser."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from iis_client import IISClient
from iis_client.transport.address import Address
from support.browser import CONCEPTS, OpenWindow, ScoredJob

SOON, LATER = 10_000, 90_000  # milliseconds
MAX_REQUESTS = 8


def count_requests(page: Page) -> list[str]:
    """Addresses of the requests to the API, pictures apart, from now on."""
    requests = list[str]()
    page.on("request", lambda request: requests.append(request.url) if "/v1/" in request.url and ".png" not in request.url else None)
    return requests


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_library_is_found_renamed_and_leads_to_its_job(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account)
    page = window.page
    window.sign_in()
    window.open("/")
    page.get_by_text("More", exact=True).click()
    page.get_by_role("link", name="Libraries", exact=True).click()
    page.get_by_role("link", name=re.compile(f"{CONCEPTS} clusters")).first.click(timeout=SOON)
    expect(page.get_by_role("link", name="Vectors, safetensors")).to_be_visible(timeout=SOON)
    page.get_by_text("Name, tags and notes").click()
    page.get_by_label("Name", exact=True).fill("strokes")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="strokes")).to_be_visible(timeout=SOON)
    questions = list[str]()

    def dismiss(dialog: Dialog) -> None:
        questions.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.get_by_role("button", name="Delete this concept library").click()
    assert questions[0].startswith(f"Delete the concept library strokes? The score of job {scored_job.id} stays.")
    window.open("/libraries?name=stro")
    expect(page.get_by_role("link", name="strokes")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Delete strokes").click()
    assert questions[1] == questions[0]
    page.get_by_label("Search").fill("nothing of the kind")
    expect(page.get_by_text("No matching concept libraries")).to_be_visible(timeout=SOON)
    assert page.url.endswith("/libraries?name=nothing+of+the+kind")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_vocabularies_and_webhooks_are_listed_shown_and_deleted(open_window: OpenWindow, account: Address) -> None:
    with IISClient(account.url, account.api_key) as client:
        client.create_concept_set(phrases=["a loop", "a hook", "a loop"], name="strokes")
    window = open_window(account, 390)
    page = window.page
    page.on("dialog", lambda dialog: dialog.accept())
    window.sign_in()
    window.open("/vocabularies?name=stro")
    page.get_by_role("link", name="strokes").click(timeout=SOON)
    expect(page.get_by_role("list").get_by_text("a hook")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("cell", name="repeated")).to_be_visible()
    page.get_by_role("button", name="Delete this vocabulary").click()
    page.wait_for_url("**/vocabularies", timeout=SOON)
    expect(page.get_by_text("comes with the service").first).to_be_visible(timeout=SOON)
    expect(page.get_by_role("link", name="strokes")).to_have_count(0)

    window.open("/webhooks")
    page.get_by_label("Address").fill("https://receiver.invalid/hooks")
    page.get_by_role("button", name="Create webhook").click()
    expect(page.get_by_text("Copy this secret now")).to_be_visible(timeout=SOON)
    expect(page.get_by_label("Receiver that posts to Slack")).to_contain_text(f'SERVICE = "{account.url}"')
    page.get_by_role("link", name="https://receiver.invalid/hooks").click()
    page.get_by_role("button", name="Send a test message").click()
    expect(page.get_by_role("rowheader", name="webhook.test")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_text("Disabled; receives")).to_be_visible(timeout=SOON)
    assert window.fits()
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/webhooks", timeout=SOON)
    expect(page.get_by_text("No webhooks yet")).to_be_visible(timeout=SOON)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_images_are_shown_side_by_side_and_chosen_ones_saved(open_window: OpenWindow, scored_job: ScoredJob, tmp_path: Path) -> None:
    window = open_window(scored_job.account)
    page = window.page
    window.sign_in()
    requests = count_requests(page)
    window.open(f"/jobs/{scored_job.id}/images/0?beside=1")
    maps = page.locator(".pair .heatmap")
    expect(maps.nth(1)).to_have_attribute("data-concept", re.compile(r"\d+"), timeout=LATER)
    assert maps.nth(0).get_attribute("data-concept") == maps.nth(1).get_attribute("data-concept")
    expect(page.get_by_text(re.compile("^(Not unlike|This image is unlike) the training images"))).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert len(requests) <= MAX_REQUESTS, requests

    window.open(f"/jobs/{scored_job.id}/images")
    for number in (0, 2):
        page.get_by_label(f"Choose test image {number}", exact=True).check(timeout=LATER)
    with page.expect_download(timeout=LATER) as saving:
        page.get_by_role("button", name="Download 2 explanations, ZIP").click()
    saving.value.save_as(tmp_path / "saved.zip")
    with zipfile.ZipFile(io.BytesIO((tmp_path / "saved.zip").read_bytes())) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["image-0.json", "image-0.png", "image-2.json", "image-2.png"]
        assert archive.read("image-2.png").startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_one_image_is_shown_through_two_models_in_few_requests(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    with IISClient(scored_job.account.url, scored_job.account.api_key) as client:
        again = client.wait(client.score(scored_job.model, scored_job.dataset, {"kind": "cluster", "concept_count": CONCEPTS - 2}))
    window = open_window(scored_job.account)
    page = window.page
    window.sign_in()
    requests = count_requests(page)
    window.open(f"/compare?job={scored_job.id}&job={again.id}&image=2")
    maps = page.locator(".pair-picture .heatmap")
    expect(maps.nth(0)).to_have_attribute("data-concept", re.compile(r"\d+"), timeout=LATER)
    expect(maps.nth(1)).to_have_attribute("data-concept", re.compile(r"\d+"), timeout=LATER)
    page.wait_for_load_state("networkidle")
    assert len(requests) <= MAX_REQUESTS, requests
    expect(page.get_by_role("table", name="Scores of the selected jobs").get_by_role("row")).to_have_count(3)
    page.locator(".concept-choice").nth(1).click()
    expect(page.locator(".concept-choice").nth(1)).to_have_attribute("aria-pressed", "true")

    window.open(f"/submit?model={scored_job.model}&dataset={scored_job.dataset}")
    expect(page.get_by_text(re.compile("^Cost: ")).first).to_be_visible(timeout=LATER)
