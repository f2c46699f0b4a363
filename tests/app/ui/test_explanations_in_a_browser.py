"""Explanations in a real browser: an own image, interventions, options, and requests that overtake each other."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from support.browser import CONCEPTS, OpenWindow, ScoredJob
from support.digits import CLASSES

SOON, LATER = 10_000, 90_000  # milliseconds
TOPMOST = """() => {
  const { left, top, width, height } = document.activeElement.getBoundingClientRect();
  return document.elementFromPoint(left + width / 2, top + height / 2) === document.activeElement;
}"""
"""Whether nothing covers the focused element."""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_an_own_image_is_explained_and_its_concepts_are_changed(open_window: OpenWindow, scored_job: ScoredJob, tmp_path: Path) -> None:
    window = open_window(scored_job.account)
    page = window.page
    window.sign_in()
    window.open(f"/jobs/{scored_job.id}/images")
    expect(page.locator(".images .card").first).to_be_visible(timeout=LATER)
    with zipfile.ZipFile(scored_job.archive) as images:
        own = tmp_path / "own.png"
        own.write_bytes(images.read(images.namelist()[0]))
    page.get_by_label("Explain your own image").set_input_files(own)
    page.wait_for_url("**/images/img_*", timeout=LATER)
    expect(page.get_by_text("The true class is unknown.")).to_be_visible(timeout=SOON)

    concept = page.locator(".concept-choice").first
    expect(page.locator("figcaption")).to_contain_text("largest in the", timeout=LATER)
    concept.click()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".concept-choice").nth(1)).to_be_focused()

    before = page.locator(".ranking").nth(1).locator("li").first.inner_text().split()
    page.get_by_label(f"Strength of {concept.inner_text()}").first.press("Home")
    expect(page.get_by_text("suppressed").first).to_be_visible()
    expect(page.locator(".contributions > li").filter(has=page.locator(".what-if")).locator(".concept-choice")).to_have_text(
        concept.inner_text(), timeout=SOON
    )
    table = page.get_by_role("table", name="Probabilities before and after")
    expect(table.get_by_role("row")).to_have_count(CLASSES + 1, timeout=SOON)
    row = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name=before[0], exact=True)).inner_text()
    assert before[1] in row
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_text("All changes were reset.")).to_be_visible()

    page.get_by_label("Concepts kept").press("Home")
    page.wait_for_url(f"**?kept={CONCEPTS}", timeout=SOON)
    expect(page.locator("#kept + output")).to_contain_text(f"{CONCEPTS} of {CONCEPTS} concepts kept", timeout=SOON)
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=SOON)  # the contrast options are those of the new explanation
    page.get_by_label("Contrast").select_option(index=1)
    page.wait_for_url("**contrast=*", timeout=SOON)
    expect(page.get_by_text("logit difference of")).to_be_visible(timeout=SOON)
    page.get_by_role("link", name="Classes", exact=True).click()
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.get_by_role("heading", name="Class 1")).to_be_visible(timeout=SOON)
    page.locator(".contribution a").first.click()
    expect(page.get_by_role("heading", name="Test images by activation")).to_be_visible(timeout=SOON)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_contrast_with_the_predicted_class_is_dropped(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account)
    window.expected_statuses.add(422)
    page = window.page
    window.sign_in()
    predicted = page.evaluate("job => fetch(`/v1/jobs/${job}/explanations/0`).then((response) => response.json())", scored_job.id)[
        "explained"
    ]["class"]
    window.open(f"/jobs/{scored_job.id}/images/0?contrast={predicted}")
    expect(page.locator("#contrast")).to_have_value("", timeout=SOON)
    assert "contrast" not in page.url


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_response_to_an_earlier_option_does_not_replace_a_later_one(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account)
    page = window.page
    window.sign_in()
    window.open(f"/jobs/{scored_job.id}/images/0")
    nodes = page.evaluate("job => fetch(`/v1/jobs/${job}/explanations/0`).then((response) => response.json())", scored_job.id)["nodes"]
    fewer = sorted(node["kept"] for node in nodes)[-2]
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(f"**/explanations/0?kept={CONCEPTS}*", hold)
    slider = page.get_by_label("Concepts kept")
    slider.press("Home", timeout=LATER)
    page.wait_for_url(f"**?kept={CONCEPTS}", timeout=SOON)
    slider.press("ArrowRight")
    expect(page.locator("#kept + output")).to_contain_text(f"{fewer} of {CONCEPTS} concepts kept", timeout=SOON)
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=SOON)
    with page.expect_response(f"**/explanations/0?kept={CONCEPTS}*"):
        held[0].continue_()
    page.wait_for_timeout(200)  # time for a wrong update
    expect(page.locator("#kept + output")).to_contain_text(f"{fewer} of {CONCEPTS} concepts kept")
    assert page.url.endswith(f"?kept={fewer}")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_maps_are_shown_at_once_stay_in_view_and_cover_no_control(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account, 390)
    page = window.page
    window.sign_in()
    window.open(f"/jobs/{scored_job.id}/images/1")
    overlay = page.locator(".picture > .layers .heatmap")
    expect(overlay).to_have_attribute("data-concept", re.compile(r"\d+"), timeout=LATER)
    first = overlay.get_attribute("data-concept")
    assert overlay.evaluate("map => map.getContext('2d').getImageData(0, 0, map.width, map.height).data.some((value) => value > 0)")
    small = page.get_by_role("group", name="Heat maps of the largest contributions").get_by_role("button")
    expect(small.first).to_have_attribute("aria-pressed", "true")
    small.nth(1).click()
    expect(overlay).not_to_have_attribute("data-concept", first or "")
    expect(page.locator(".concept-choice[aria-pressed=true]")).to_have_count(1)
    page.get_by_label("Opacity").press("Home")
    expect(page.locator(".picture > .layers")).not_to_have_class(re.compile("mapped"))

    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.get_by_label(re.compile("^Strength of ")).first.focus()
    assert page.evaluate(TOPMOST)
    assert overlay.bounding_box() is not None
    expect(overlay).to_be_in_viewport()

    page.locator("main").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile(r"/images/2\?kept=\d+$"), timeout=SOON)
    expect(page.get_by_role("link", name="Previous")).to_be_visible(timeout=LATER)
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(re.compile(r"/images/1\?kept=\d+$"), timeout=SOON)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_filters_of_the_images_are_in_the_address(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account)
    page = window.page
    window.sign_in()
    window.open(f"/jobs/{scored_job.id}/images?class=1")
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=LATER)
    expect(page.get_by_label("True class")).to_have_value("1")
    of_class = page.evaluate(
        "job => fetch(`/v1/jobs/${job}/explanations?class=1&max_confidence=0.5&limit=100`).then((response) => response.json())",
        scored_job.id,
    )
    page.get_by_label("Confidence").select_option("below 50 %")
    page.wait_for_url("**/images?class=1&confidence=-0.5", timeout=SOON)
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=SOON)
    expect(page.locator(".images .card")).to_have_count(min(24, len(of_class["data"])))
