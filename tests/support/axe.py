"""axe-core's check of a page against WCAG 2.2 AA; `make scripts` installs it."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "app/ui/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = """async (rules) => (await axe.run(document, { runOnly: rules })).violations.map(
  ({ id, impact, nodes }) => `${id} (${impact}): ${nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`
)"""


def violations_of(page: Page) -> list[str]:
    """Violations on the current page; none where axe-core is not installed."""
    if not AXE.exists():
        return []
    page.evaluate(AXE.read_text())
    return page.evaluate(RUN, RULES)
