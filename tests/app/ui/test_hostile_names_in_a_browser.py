"""Hostile names in a real browser: they are shown as text, run nothing, and do not change the direction of other text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import save_file

from iis_client.client import IISClient
from iis_client.transport.address import Address
from support.browser import OpenWindow
from torture.hostile_archives import BOUNDED_NAMES

NAME = "<img src=x onerror='window.hacked=1'>\u202etxt.exe"
HEBREW = "\u05e9\u05dc\u05d5\u05dd"
INVISIBLE = r"/[\u0000-\u0008\u000e-\u001f\u007f\u202a-\u202e\u2066-\u2069]/u"
PAGES = ("", "/classes", "/concepts", "/images")
CONCEPTS = 8


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """Precomputed features with hostile class names and a right-to-left one."""
    names = [*BOUNDED_NAMES, HEBREW]
    path = tmp_path / "names.safetensors"
    generator, labels = np.random.default_rng(0), np.repeat(np.arange(len(names)), 8)
    centres = generator.normal(size=(len(names), 8)) * 4
    matrices = {name: (centres[labels] + generator.normal(size=(len(labels), 8))).astype(np.float32) for name in ("X_train", "X_test")}
    arrays = {**matrices, "y_train": labels, "y_test": labels, "concepts": matrices["X_train"]}
    save_file(arrays, path, {"iis": json.dumps({"class_names": names})})
    return path


@pytest.fixture
def job(account: Address, features: Path) -> str:
    with IISClient(account.url, account.api_key) as client:
        dataset = client.wait_until_ready(client.create_dataset(features, name=NAME, kind="features"))
        submitted = client.score(None, dataset, {"kind": "cluster", "concept_count": CONCEPTS})
        return client.wait(submitted).id


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hostile_names_are_shown_as_text(open_window: OpenWindow, account: Address, job: str) -> None:
    window = open_window(account)
    window.sign_in()
    page = window.page
    with IISClient(account.url, account.api_key) as client:
        dataset = client.job(job).dataset
    for path in (*(f"/jobs/{job}{part}" for part in PAGES), "/", "/datasets", f"/datasets/{dataset}"):
        window.open(path)
        expect(page.locator("[aria-busy]")).to_have_count(0, timeout=30_000)
        assert is_harmless(page), path
    window.open(f"/jobs/{job}/classes")
    rows = page.get_by_role("rowheader")
    expect(rows).to_have_count(len(BOUNDED_NAMES) + 1)
    shown = rows.all_inner_texts()
    assert "<script>document.title='hacked'</script>" in shown
    assert "⟨U+202E⟩evil⟨U+2066⟩gnp.exe" in shown
    assert "⟨U+001B⟩[2J⟨U+0007⟩bell" in shown
    assert page.locator("th bdi").all_inner_texts() == [HEBREW]
    assert window.fits()
    page.get_by_role("link", name="<script>document.title").click()
    expect(page.locator("#class [role=alert]")).to_have_count(0)
    expect(page.get_by_role("heading", name="<script>")).to_be_visible()
    assert is_harmless(page)


def is_harmless(page: Page) -> bool:
    """Whether no script of a name has run, no element was made from one, and the text has no invisible characters."""
    ran = page.evaluate("() => window.hacked !== undefined || /^(hacked|1)$/.test(document.title)")
    inserted = page.locator("img[src='x'], main script").count()
    invisible = page.evaluate(f"() => {INVISIBLE}.test(document.body.innerText)")
    return not (ran or inserted or invisible)
