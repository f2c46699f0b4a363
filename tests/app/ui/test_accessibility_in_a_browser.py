"""WCAG 2.2 AA of every page in a real browser, checked by axe-core, which `make scripts` installs."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from iis_client import IISClient
from support.axe import AXE, violations_of
from support.browser import OpenWindow, Scheme, ScoredJob

LATER = 90_000  # milliseconds
PATHS = (
    *(
        "/",
        "/submit",
        "/submit?job={job}",
        "/studies",
        "/leaderboard",
        "/keys",
        "/shares",
        "/compare?job={job}",
        "/jobs/{job}",
        "/jobs/{job}/concepts",
    ),
    *("/jobs/{job}/concepts/0", "/jobs/{job}/images", "/jobs/{job}/images/0", "/jobs/{job}/classes", "/jobs/{job}/classes/1"),
    *("/models", "/models/{model}", "/datasets", "/datasets/{dataset}", "/libraries", "/libraries/{library}"),
    *("/vocabularies", "/vocabularies/birds", "/webhooks", "/webhooks/{webhook}", "/jobs/{job}/images/0?beside=1"),
)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
def test_axe_finds_no_violation_of_wcag(open_window: OpenWindow, scored_job: ScoredJob, width: int, scheme: Scheme) -> None:
    if not AXE.exists():
        pytest.skip("Accessibility is NOT tested: axe-core is not installed; run `make scripts`.")
    window = open_window(scored_job.account, width, scheme)
    window.sign_in()
    with IISClient(scored_job.account.url, scored_job.account.api_key) as client:
        result = client.result(scored_job.id)
        webhook = client.create_webhook("https://receiver.invalid/hooks").id
    names = {"job": scored_job.id, "model": scored_job.model, "dataset": scored_job.dataset, "library": result.library, "webhook": webhook}
    violations = list[str]()
    for path in PATHS:
        window.open(path.format(**names))
        expect(window.page.locator("[aria-busy]")).to_have_count(0, timeout=LATER)
        violations += [f"{path}: {violation}" for violation in violations_of(window.page)]
    assert violations == []
