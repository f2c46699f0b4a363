"""Share links in a real browser: made on a page, opened without signing in, and revoked."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from support.axe import violations_of
from support.browser import OpenWindow, ScoredJob

SOON, LATER = 10_000, 90_000  # milliseconds
MAX_REQUESTS = 8


def make_link(page: Page) -> str:
    """Create a link on the current page; returns its address."""
    page.get_by_text("Share", exact=True).click(timeout=LATER)
    page.get_by_role("button", name="Create link").click()
    field = page.get_by_label("Link", exact=True)
    expect(field).to_be_visible(timeout=LATER)
    expect(page.locator(".share-list li").first).to_be_visible(timeout=SOON)
    return field.input_value()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_shared_page_shows_the_shared_thing_alone_until_it_is_revoked(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    owner = open_window(scored_job.account)
    owner.sign_in()
    links = list[str]()
    for path in (f"/jobs/{scored_job.id}", f"/jobs/{scored_job.id}/concepts/0", f"/jobs/{scored_job.id}/images/1"):
        owner.open(path)
        expect(owner.page.locator("[aria-busy]")).to_have_count(0, timeout=LATER)
        links.append(make_link(owner.page))

    visitor = open_window(scored_job.account, 390, "dark")
    visitor.expected_statuses.add(401)
    page = visitor.page
    requests = list[str]()
    page.on("request", lambda request: requests.append(request.url))
    words = ("Does the model read through these concepts?", "Test images by activation", "Concept contributions")
    for link, text in zip(links, words, strict=True):
        requests.clear()
        page.goto("about:blank")
        page.goto(link)
        expect(page.get_by_text(text).locator("visible=true").first).to_be_visible(timeout=LATER)
        expect(page.locator("[aria-busy]")).to_have_count(0, timeout=LATER)
        expect(page.get_by_text("Shared read-only until")).to_be_visible()
        assert page.locator("main a[href^='/'], main img[src^='/']").count() == 0
        assert page.get_by_role("navigation").count() == 0
        assert len([url for url in requests if "/v1/" in url and not url.endswith(".png")]) <= MAX_REQUESTS
        assert link.partition("#")[2] not in "".join(requests).replace(link, "")
        assert visitor.fits()
        assert violations_of(page) == []
    expect(page.locator(".picture img").first).not_to_have_js_property("naturalWidth", 0, timeout=LATER)
    expect(page.locator(".picture > .layers .heatmap")).to_have_attribute("data-concept", re.compile(r"\d+"), timeout=LATER)

    owner.open("/shares")
    expect(owner.page.get_by_role("link", name=re.compile("^Test image 1 of "))).to_be_visible(timeout=SOON)
    owner.page.get_by_role("button", name=re.compile("^Revoke the link")).first.click()
    expect(owner.page.get_by_role("link", name=re.compile("^Test image 1 of "))).to_have_count(0, timeout=SOON)
    page.reload()
    expect(page.get_by_text("This link is unknown, was revoked or has expired")).to_be_visible(timeout=SOON)
