"""WCAG 2.2 AA of every page in a real browser, checked by axe-core, which `make scripts` installs."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.browser import OpenWindow, Scheme, ScoredJob

AXE = Path(__file__).parents[3] / "app/ui/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = """async (rules) => (await axe.run(document, { runOnly: rules })).violations.map(
  ({ id, impact, nodes }) => `${id} (${impact}): ${nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`
)"""
LATER = 90_000  # milliseconds
PATHS = (
    *(
        "/",
        "/submit",
        "/submit?job={job}",
        "/studies",
        "/leaderboard",
        "/keys",
        "/compare?job={job}",
        "/jobs/{job}",
        "/jobs/{job}/concepts",
    ),
    *("/jobs/{job}/concepts/0", "/jobs/{job}/images", "/jobs/{job}/images/0", "/jobs/{job}/classes", "/jobs/{job}/classes/1"),
    *("/models", "/models/{model}", "/datasets", "/datasets/{dataset}"),
)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
def test_axe_finds_no_violation_of_wcag(open_window: OpenWindow, scored_job: ScoredJob, width: int, scheme: Scheme) -> None:
    if not AXE.exists():
        pytest.skip("Accessibility is NOT tested: axe-core is not installed; run `make scripts`.")
    window = open_window(scored_job.account, width, scheme)
    window.sign_in()
    violations = list[str]()
    for path in PATHS:
        window.open(path.format(job=scored_job.id, model=scored_job.model, dataset=scored_job.dataset))
        expect(window.page.locator("[aria-busy]")).to_have_count(0, timeout=LATER)
        window.page.evaluate(AXE.read_text())
        violations += [f"{path}: {violation}" for violation in window.page.evaluate(RUN, RULES)]
    assert violations == []
