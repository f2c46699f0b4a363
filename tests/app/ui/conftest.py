"""Fixtures of browser tests: accounts on a running service, a finished score job, and browser windows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from iis_client.client import IISClient
from iis_client.transport.address import Address
from support.browser import CONCEPTS, OpenWindow, Scheme, ScoredJob, Window
from support.digits import ARCHITECTURE, CLASSES, PIXELS, write_checkpoint, write_digits
from support.stacks import RunningStack

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
IMAGES = 150


@pytest.fixture(scope="session")
def service(running_stack: RunningStack) -> RunningStack:
    return running_stack


@pytest.fixture
def account(service: RunningStack) -> Address:
    """A new account without any resources."""
    return service.new_account()


@pytest.fixture(scope="module")
def shared_account(service: RunningStack) -> Address:
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
def scored_job(service: RunningStack, digits_archive: Path, checkpoint: Path) -> ScoredJob:
    account = service.new_account()
    with IISClient(account.url, account.api_key) as client:
        dataset = client.create_dataset(digits_archive)
        model = client.create_model(
            ARCHITECTURE, checkpoint=checkpoint, arguments={"num_classes": CLASSES}, preprocessing={"input_size": PIXELS}
        )
        ready_model, ready_dataset = client.wait_until_ready(model), client.wait_until_ready(dataset)
        job = client.score(ready_model, ready_dataset, {"kind": "cluster", "concept_count": CONCEPTS})
        return ScoredJob(account, client.wait(job).id, digits_archive, ready_model.id, ready_dataset.id)


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
