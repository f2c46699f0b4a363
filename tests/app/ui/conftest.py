"""A running service, accounts on it, a finished score job, and browser windows that record errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from app.local.servers import EmbeddedPostgres
from iis_client.cli.local_stack import LocalStack
from iis_client.client import IISClient
from iis_client.transport.address import Address

from .digits import ARCHITECTURE, CLASSES, PIXELS, write_checkpoint, write_digits

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
IMAGES = 150
CONCEPTS = 8
Scheme = Literal["light", "dark"]


@dataclass(frozen=True)
class Service:
    """The service with its page, in a folder of its own."""

    folder: Path
    url: str

    def new_account(self) -> Address:
        """Create an owner and return an API key of theirs with all scopes."""
        environment = os.environ | {
            "IIS_DATABASE_URL": EmbeddedPostgres(self.folder / "postgres").url("iis"),
            "IIS_API_KEY_SECRET": (self.folder / "api-key-secret").read_text(),
            "IIS_DATA_FOLDER": str(self.folder),
        }
        command = [sys.executable, "-m", "app.api_keys", "browser test"]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return Address(self.url, done.stdout.strip())


@dataclass(frozen=True)
class ScoredJob:
    """A finished score job of three digits, and the account that it belongs to."""

    account: Address
    id: str
    archive: Path


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


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("IIS_")]:
            environment.delenv(name)
        stack = LocalStack(folder)
    try:
        yield Service(folder, stack.wait_until_ready().url)
    finally:
        stack.stop()


@pytest.fixture
def account(service: Service) -> Address:
    """A new account without any resources."""
    return service.new_account()


@pytest.fixture(scope="module")
def shared_account(service: Service) -> Address:
    """An account for the resources that the tests of a module only read."""
    return service.new_account()


@pytest.fixture(scope="session")
def digits_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits in class folders; the file name contains HTML."""
    return write_digits(tmp_path_factory.mktemp("inputs") / "digits <b>.zip", IMAGES)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("inputs") / "untrained.safetensors")


@pytest.fixture(scope="session")
def scored_job(service: Service, digits_archive: Path, checkpoint: Path) -> ScoredJob:
    account = service.new_account()
    with IISClient(account.url, account.api_key) as client:
        dataset = client.create_dataset(digits_archive)
        model = client.create_model(
            ARCHITECTURE, checkpoint=checkpoint, arguments={"num_classes": CLASSES}, preprocessing={"input_size": PIXELS}
        )
        model_id, dataset_id = client.wait_until_ready(model)["id"], client.wait_until_ready(dataset)["id"]
        job = client.score(model_id, dataset_id, {"kind": "cluster", "concept_count": CONCEPTS})
        return ScoredJob(account, client.wait(job["id"])["id"], digits_archive)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"The page is NOT tested: none of {', '.join(BROWSERS)} is installed here.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def open_window(browser: Browser) -> Iterator[OpenWindow]:
    windows: list[Window] = []

    def open_one(account: Address, width: int = 1440, scheme: Scheme = "light") -> Window:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, service_workers="block")
        windows.append(Window(context.new_page(), account))
        return windows[-1]

    yield open_one
    for window in windows:
        window.page.context.close()
        assert window.problems == []
