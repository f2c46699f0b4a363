"""Result and concepts of a score in a real browser: verdict, glossary, confusion matrices, the request as code, submission again."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from iis_client import IISClient
from iis_schemas.jobs.requests import ScoreCreate
from support.browser import CONCEPTS, OpenWindow, ScoredJob

SOON, LATER = 10_000, 90_000  # milliseconds


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_verdict_comes_before_the_numbers_and_terms_are_explained_by_keyboard(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account)
    page = window.page
    window.sign_in()
    window.open(f"/jobs/{scored_job.id}")
    banner, number = page.locator(".verdict"), page.locator(".score-value").first
    expect(banner.get_by_role("heading")).to_have_text(re.compile("^\\S (Yes|No|Not shown|Undecided): "), timeout=SOON)
    places = [place for place in (banner.bounding_box(), number.bounding_box()) if place is not None]
    assert len(places) == 2
    assert places[0]["y"] + places[0]["height"] <= places[1]["y"]
    expect(banner.get_by_text("The IIS of")).to_be_visible()
    for term in ("few concepts", "IIS", "control", "gain", "ARR"):
        mark = page.get_by_role("button", name=f"Meaning of {term}", exact=True)
        mark.press("Enter")
        note = page.get_by_role("note").filter(has_text=re.compile(f"^{term}: "))
        expect(note).to_be_visible()
        page.keyboard.press("Escape")
        expect(note).to_be_hidden()
    usage = page.get_by_role("region", name="Usage", exact=True)
    expect(usage.get_by_text(re.compile(r"running, on the CPU, peak memory [\d.]+ [MG]iB, "))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^Extracting features"))).to_contain_text("MiB")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_cell_of_a_confusion_matrix_opens_its_images(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account)
    page = window.page
    window.sign_in()
    for matrix in ("whole representation", "of 8 concepts"):
        window.open(f"/jobs/{scored_job.id}")
        table = page.get_by_role("table", name=re.compile(f"Confusion matrix, .*{matrix}$"))
        cell = table.get_by_role("link").last
        expect(cell).to_be_visible(timeout=LATER)
        images = int(cell.inner_text())
        cell.click()
        expect(page.locator(".images .card")).to_have_count(min(images, 24), timeout=LATER)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_job_is_copied_as_a_request_and_submitted_again_from_the_filled_form(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account)
    page = window.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    window.sign_in()
    window.open(f"/jobs/{scored_job.id}")
    page.get_by_role("button", name="Copy as curl").click(timeout=LATER)
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    request = ScoreCreate.model_validate(json.loads(copied[copied.index("{") : copied.rindex("}") + 1]))
    with IISClient(scored_job.account.url, scored_job.account.api_key) as client:
        job = client.job(scored_job.id)
        assert job.kind == "score"
        assert (request.model, request.dataset, request.library.kind, request.seed) == (job.model, job.dataset, "cluster", job.seed)
        assert (request.elements.kind, request.elements.scales) == (job.elements.kind, tuple(job.elements.scales or ()))

        page.get_by_role("link", name="Run again with changes").click()
        expect(page.get_by_text("Filled in from")).to_be_visible(timeout=SOON)
        page.get_by_label("Number of concepts").fill(str(CONCEPTS - 1))
        page.get_by_role("button", name="Submit").click()
        page.wait_for_url("**/jobs/job_*", timeout=LATER)
        again = client.cancel(page.url.rpartition("/")[2])
        assert again.kind == "score"
        assert again.library.concept_count == CONCEPTS - 1
        same = ("model", "dataset", "elements", "protocol", "activations", "seed", "vlm", "vocabulary", "library_dataset")
        assert {name: getattr(again, name) for name in same} == {name: getattr(job, name) for name in same}
    expect(page.get_by_role("link", name="Submit again with changes")).to_have_attribute("href", f"/submit?job={again.id}", timeout=LATER)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_concepts_are_sorted_and_searched(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account)
    page = window.page
    window.sign_in()
    window.open(f"/jobs/{scored_job.id}/concepts?fold=false")
    names = page.locator(".card h3")
    expect(names).to_have_count(CONCEPTS, timeout=LATER)
    uses = page.evaluate("job => fetch(`/v1/jobs/${job}/concepts?limit=100`).then((response) => response.json())", scored_job.id)["data"]
    for sort, field in (("importance", "importance"), ("firing rate", "firing_rate")):
        page.get_by_label("Sort by").select_option(sort)
        expected = [f"Concept {one['concept']}" for one in sorted(uses, key=lambda one: -one[field])]
        assert names.all_inner_texts() == expected
    page.get_by_role("searchbox", name="Search").fill("concept 3")
    expect(names).to_have_count(1)
    assert page.url.endswith("/concepts?sort=firing_rate&search=concept+3&fold=false")
