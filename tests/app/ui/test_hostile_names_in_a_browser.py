"""Names that a stranger chose, in a real browser: they stand there to be read, run nothing, and turn nothing around them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import save_file
from torture.hostile_archives import CLASS_NAMES

from iis_client.client import IISClient
from iis_client.transport.address import Address

from .conftest import Visit

NAME = "<img src=x onerror='window.hacked=1'>\u202etxt.exe"
HEBREW = "\u05e9\u05dc\u05d5\u05dd"
RAW = r"/[\u0000-\u0008\u000e-\u001f\u007f\u202a-\u202e\u2066-\u2069]/u"
PAGES = ("", "/classes", "/concepts", "/images")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ready features whose classes are called by every hostile name, and one by an ordinary one that is written from right to left."""
    names = [*CLASS_NAMES, HEBREW]
    path = tmp_path_factory.mktemp("names") / "names.safetensors"
    generator, labels = np.random.default_rng(0), np.repeat(np.arange(len(names)), 8)
    centres = generator.normal(size=(len(names), 8)) * 4
    matrices = {name: (centres[labels] + generator.normal(size=(len(labels), 8))).astype(np.float32) for name in ("X_train", "X_test")}
    arrays = {**matrices, "y_train": labels, "y_test": labels, "concepts": matrices["X_train"]}
    save_file(arrays, path, {"iis": json.dumps({"class_names": names})})
    return path


@pytest.fixture(scope="module")
def job(stack: Address, names: Path) -> str:
    with IISClient(stack.url, stack.api_key) as client:
        data = client.wait_until_ready(client.create_dataset(names, name=NAME, kind="features"))
        submitted = client.score(None, data["id"], {"kind": "cluster", "concept_count": 8})
        return client.wait(submitted["id"])["id"]


@pytest.mark.timeout(300)
def test_hostile_names_are_read_and_do_nothing(visit: Callable[..., Visit], job: str) -> None:
    window = visit()
    window.sign_in()
    page = window.page
    for place in (*(f"/jobs/{job}{part}" for part in PAGES), "/"):
        window.open(place)
        expect(page.locator("[aria-busy]")).to_have_count(0, timeout=30_000)
        assert untouched(page), place
    window.open(f"/jobs/{job}/classes")
    rows = page.get_by_role("rowheader")
    expect(rows).to_have_count(len(CLASS_NAMES) + 1)
    shown = rows.all_inner_texts()
    assert "<script>document.title='hacked'</script>" in shown
    assert "⟨U+202E⟩evil⟨U+2066⟩gnp.exe" in shown
    assert "⟨U+001B⟩[2J⟨U+0007⟩bell" in shown
    assert page.locator("th bdi").all_inner_texts() == [HEBREW]
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="<script>document.title").click()
    expect(page.locator("#class [role=alert]")).to_have_count(0)
    expect(page.get_by_role("heading", name="<script>")).to_be_visible()
    assert untouched(page)


def untouched(page: Page) -> bool:
    """Whether no script of a name has run, no element of one was made, and no raw control or direction character is in the text."""
    ran = page.evaluate("() => window.hacked !== undefined || /^(hacked|1)$/.test(document.title)")
    made = page.locator("img[src='x'], main script").count()
    raw = page.evaluate(f"() => {RAW}.test(document.body.innerText)")
    return not (ran or made or raw)
