"""Job list, missing jobs and the API reference in a real browser."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from playwright.sync_api import expect

from iis_client.client import IISClient
from iis_client.errors import ConflictError
from iis_client.transport.address import Address
from support.browser import OpenWindow, ScoredJob

SOON, LATER = 10_000, 90_000  # milliseconds
JOBS = 6


def test_running_jobs_are_linked_above_queued_ones(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account)
    page = window.page
    window.sign_in()
    expect(page.locator(".job").first).to_be_visible(timeout=LATER)
    in_progress = page.locator("#in-progress")
    expect(in_progress).to_be_hidden()
    with IISClient(scored_job.account.url, scored_job.account.api_key) as client:
        scored = client.job(scored_job.id)
        submitted = [client.score(scored.model, scored.dataset, {"kind": "prototype"}, seed=seed).id for seed in range(JOBS)]
        try:
            window.open("/")
            expect(in_progress).to_have_text(re.compile(r"In progress: \d running \(.+\), \d queued"), timeout=SOON)
            linked = {link.get_attribute("href") for link in in_progress.get_by_role("link").all()}
            assert linked <= {f"/jobs/{job}" for job in submitted}
        finally:
            for job in submitted:
                with suppress(ConflictError):  # it has finished
                    client.cancel(job)


def test_a_missing_job_is_reported_on_every_job_page(open_window: OpenWindow, account: Address) -> None:
    window = open_window(account)
    window.expected_statuses.add(404)
    window.sign_in()
    for path in ("", "/concepts", "/images", "/classes"):
        window.open(f"/jobs/job_none{path}")
        expect(window.page.get_by_role("alert")).to_contain_text("job_none", timeout=SOON)
        expect(window.page.get_by_role("button", name="Try again")).to_have_count(0)


@pytest.mark.slow
def test_the_api_reference_loads_nothing_from_other_hosts(open_window: OpenWindow, account: Address) -> None:
    window = open_window(account)
    window.sign_in()
    window.page.get_by_role("link", name="API", exact=True).click()
    expect(window.page.locator(".opblock").first).to_be_visible(timeout=LATER)
    window.page.locator(".opblock-summary").first.click()
    expect(window.page.locator(".opblock-description, .parameters").first).to_be_visible(timeout=SOON)
