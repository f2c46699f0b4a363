"""Job list, missing jobs and the API reference in a real browser."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from playwright.sync_api import Dialog, expect

from iis_client.client import IISClient
from iis_client.errors import ConflictError, JobCanceledError
from iis_client.transport.address import Address
from support.browser import OpenWindow, ScoredJob

SOON, LATER = 10_000, 90_000  # milliseconds
JOBS = 6
DATA_REQUESTS = """() => performance.getEntriesByType("resource").filter((entry) => entry.initiatorType === "fetch").length"""


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


def test_one_request_fills_the_list_with_names_scores_and_verdicts(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account)
    page = window.page
    window.sign_in()
    with IISClient(scored_job.account.url, scored_job.account.api_key) as client:
        report = client.result(scored_job.id).report
    window.open("/?state=succeeded&kind=score&name=DIGITS&sort=-iis")
    row = page.locator(".job").filter(has=page.locator(f"a[href='/jobs/{scored_job.id}']"))
    expect(row).to_contain_text(f"IIS {report.iis:.3f}", timeout=SOON)
    expect(row.locator(".job-verdict")).to_have_text(re.compile(r"^\S \w+"))
    assert page.evaluate(DATA_REQUESTS) == 1
    expect(page.get_by_label("State")).to_have_value("succeeded")
    expect(page.get_by_label("Order")).to_have_value("-iis")
    page.get_by_label("Name").fill("no such name")
    expect(page.get_by_role("heading", name="No matching jobs")).to_be_visible(timeout=SOON)
    assert page.url.endswith("/?name=no+such+name&state=succeeded&kind=score&sort=-iis")


def test_chosen_jobs_are_deleted_after_a_question_that_says_what_is_lost(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account)
    page = window.page
    window.sign_in()
    with IISClient(scored_job.account.url, scored_job.account.api_key) as client:
        scored = client.job(scored_job.id)
        chosen, kept = (client.score(scored.model, scored.dataset, {"kind": "prototype"}, seed=80 + n, tags=["old"]).id for n in range(2))
        for job in (chosen, kept):
            client.cancel(job)
            with suppress(JobCanceledError):
                client.wait(job)
        window.open("/?tag=old")
        row = page.locator(".job").filter(has=page.locator(f"a[href='/jobs/{chosen}']"))
        bar = page.get_by_role("region", name="Chosen jobs")
        expect(page.locator(".job")).to_have_count(2, timeout=SOON)
        expect(bar).to_be_hidden()
        row.get_by_role("checkbox").check()
        expect(bar).to_contain_text("1 job chosen")
        expect(bar.get_by_role("button", name="Cancel")).to_be_hidden()
        questions: list[str] = []

        def decline(dialog: Dialog) -> None:
            questions.append(dialog.message)
            dialog.dismiss()

        page.once("dialog", decline)
        bar.get_by_role("button", name="Delete 1").click()
        assert "Results, concept libraries, explanations, figures and events are lost" in questions[0]
        expect(row).to_have_count(1)
        page.once("dialog", lambda dialog: dialog.accept())
        bar.get_by_role("button", name="Delete 1").click()
        expect(row).to_have_count(0, timeout=SOON)
        expect(bar).to_be_hidden()
        assert [job.id for job in client.jobs(tags=["old"])] == [kept]


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
    window.page.locator(".opblock-tag").first.click(timeout=LATER)  # operations are folded
    window.page.locator(".opblock-summary").first.click()
    expect(window.page.locator(".opblock-description, .parameters").first).to_be_visible(timeout=SOON)
