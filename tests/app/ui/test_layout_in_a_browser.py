"""Layout and accessibility in a real browser: page width, contrast of text, narrow windows, keyboard."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from iis_client.transport.address import Address
from support.browser import OpenWindow, Scheme, ScoredJob

LATER = 90_000  # milliseconds
COLOURS = """() => {
  const style = (selector) => getComputedStyle(document.querySelector(selector));
  return [style("body").backgroundColor, style("h1").color, style(".intro, .help, .site-footer").color];
}"""
DATA_LOADED = """() => performance.getEntriesByType("resource").some((entry) => entry.name.includes("/v1/"))
  && !document.querySelector("[aria-busy]")"""
PATHS = (
    *("/", "/submit", "/keys", "/compare?job={job}", "/jobs/{job}", "/jobs/{job}/concepts", "/jobs/{job}/concepts/0"),
    *("/jobs/{job}/images", "/jobs/{job}/images/0", "/jobs/{job}/classes", "/jobs/{job}/classes/1"),
    *("/models", "/models/{model}", "/datasets", "/datasets/{dataset}"),
)
"""Pages of a user with one score job."""
DATA_REQUESTS = """() => performance.getEntriesByType("resource").filter((entry) => entry.initiatorType === "fetch").length"""
MAX_DATA_REQUESTS = 8
MIN_CONTRAST = 4.5  # WCAG 2, level AA, for text of normal size


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_pages_fit_the_window_with_legible_text(open_window: OpenWindow, scored_job: ScoredJob, width: int, scheme: Scheme) -> None:
    window = open_window(scored_job.account, width, scheme)
    page = window.page
    window.sign_in()
    for path in PATHS:
        window.open(path.format(job=scored_job.id, model=scored_job.model, dataset=scored_job.dataset))
        page.wait_for_function(DATA_LOADED, timeout=LATER)
        assert window.fits(), f"{path} is wider than the window"
        expect(page.get_by_role("alert")).to_have_count(0)
        assert page.evaluate(DATA_REQUESTS) <= MAX_DATA_REQUESTS, path
        background, text, muted = page.evaluate(COLOURS)
        assert min(contrast(background, text), contrast(background, muted)) >= MIN_CONTRAST


@pytest.mark.slow
def test_a_narrow_window_shows_or_scrolls_every_table_column(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account, 390)
    page = window.page
    window.sign_in()
    window.open(f"/jobs/{scored_job.id}")
    frame = page.get_by_role("region", name="Accuracy by class", exact=True)
    expect(frame).to_be_visible(timeout=LATER)
    assert frame.evaluate("frame => frame.scrollWidth <= frame.clientWidth")
    entries = page.locator(".site-header nav > *").evaluate_all("links => links.map((link) => link.getBoundingClientRect().toJSON())")
    assert max(entry["right"] for entry in entries) <= 390
    assert len({round(entry["bottom"]) for entry in entries}) <= 2, "the navigation takes two lines at most"

    page.get_by_text("Show as table").click()
    frame = page.get_by_role("region", name="Curve points")
    hidden, moved = frame.evaluate("""frame => {
      frame.scrollLeft = frame.scrollWidth;
      const left = frame.getBoundingClientRect().left;
      return [frame.scrollLeft, [...frame.querySelectorAll("tr > :first-child")].map((cell) => cell.getBoundingClientRect().left - left)];
    }""")
    assert hidden > 0
    assert set(moved) == {0}
    assert "local" in frame.evaluate("frame => getComputedStyle(frame).backgroundAttachment")

    page.get_by_text("All values", exact=True).click()
    intervals = page.get_by_role("table", name="All values of the report").locator("tbody td:nth-child(3)").all_inner_texts()
    assert any("%" in text for text in intervals)
    assert all(re.fullmatch(r"(\S+ to \S+)?|\S+\s% to \S+\s%", text) for text in intervals)


def test_the_first_tab_stop_skips_to_the_content(open_window: OpenWindow, account: Address) -> None:
    window = open_window(account)
    window.sign_in()
    window.page.keyboard.press("Tab")
    expect(window.page.get_by_role("link", name="Skip to main content")).to_be_focused()
    window.page.keyboard.press("Enter")
    expect(window.page.get_by_role("main")).to_be_focused()


def contrast(first: str, second: str) -> float:
    """The contrast ratio of WCAG 2 between two `rgb(…)` colours."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)
