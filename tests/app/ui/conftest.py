"""The whole service with its page, and a real browser that tells everything that goes wrong in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from iis_client.cli.local_stack import LocalStack
from iis_client.transport.address import Address

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass
class Visit:
    """A browser window of somebody new, and what was wrong in it: the console's errors, and requests to anywhere else."""

    page: Page
    address: Address
    wrong: list[str] = field(default_factory=list)
    expected_statuses: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self._asked(request.url))

    def open(self, path: str) -> None:
        self.page.goto(self.address.url + path)

    def sign_in(self) -> None:
        self.open("/sign-in")
        self.page.get_by_label("API key").fill(self.address.api_key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(self.address.url + "/")

    def _heard(self, kind: str, text: str) -> None:
        refused = text.startswith("Failed to load resource") and any(f"status of {status}" in text for status in self.expected_statuses)
        if kind in {"error", "warning"} and not refused:
            self.wrong.append(f"{kind}: {text}")

    def _asked(self, url: str) -> None:
        if not url.startswith((self.address.url, "blob:", "data:")):
            self.wrong.append(f"asked for {url}")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("IIS_")]:
            environment.delenv(name)
        running = LocalStack(tmp_path_factory.mktemp("stack"))
    try:
        yield running.wait_until_ready()
    finally:
        running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"The page is NOT tested: none of {', '.join(BROWSERS)} is installed here.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, stack: Address) -> Iterator[Callable[..., Visit]]:
    """`visit(width, scheme)` opens a window; at the end nothing may have gone wrong in any of them."""
    visits: list[Visit] = []

    def opened(width: int = 1440, scheme: str = "light") -> Visit:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, service_workers="block")
        visits.append(Visit(context.new_page(), stack))
        return visits[-1]

    yield opened
    for one in visits:
        one.page.context.close()
        assert one.wrong == []
