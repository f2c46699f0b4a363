"""Browser windows that record console errors, uncaught exceptions and requests to other hosts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from playwright.sync_api import Page

from iis_client.transport.address import Address

Scheme = Literal["light", "dark"]
CONCEPTS = 8
"""Concepts of the scored job that browser tests share."""


@dataclass(frozen=True)
class ScoredJob:
    """A finished score job of three digits, and the account that it belongs to."""

    account: Address
    id: str
    archive: Path
    model: str
    dataset: str


@dataclass
class Window:
    """A browser window with its own cookies; records console errors, uncaught exceptions and requests to other hosts."""

    page: Page
    account: Address
    problems: list[str] = field(default_factory=list)
    expected_statuses: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._on_console(message.type, message.text))
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self._on_request(request.url))

    def open(self, path: str) -> None:
        self.page.goto(self.account.url + path)

    def sign_in(self) -> None:
        self.open("/sign-in")
        self.page.get_by_label("API key").fill(self.account.api_key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(self.account.url + "/")

    def fits(self) -> bool:
        """Whether the page needs no horizontal scrolling."""
        return self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    def _on_console(self, kind: str, text: str) -> None:
        expected = text.startswith("Failed to load resource") and any(f"status of {status}" in text for status in self.expected_statuses)
        if kind in {"error", "warning"} and not expected:
            self.problems.append(f"{kind}: {text}")

    def _on_request(self, url: str) -> None:
        if not url.startswith((self.account.url, "blob:", "data:")):
            self.problems.append(f"request to {url}")


class OpenWindow(Protocol):
    """Opens a window for an account; the test fails if a window has recorded a problem by its end."""

    def __call__(self, account: Address, width: int = 1440, scheme: Scheme = "light") -> Window: ...
