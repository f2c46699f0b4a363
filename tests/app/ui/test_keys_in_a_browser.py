"""API keys in a real browser: create, rotate, revoke."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import expect

from iis_client.transport.address import Address
from support.browser import OpenWindow

SOON = 10_000  # milliseconds


def test_a_key_is_created_rotated_and_revoked(open_window: OpenWindow, account: Address) -> None:
    def status(path: str, key: str) -> int:
        return httpx.get(account.url + path, headers={"Authorization": f"Bearer {key}"}).status_code

    window = open_window(account)
    page = window.page
    window.sign_in()
    page.get_by_role("link", name="Keys", exact=True).click()
    expect(page.get_by_role("row", name="Unfinished jobs")).to_be_visible(timeout=SOON)
    page.get_by_label("Name").fill("robot <b>")
    page.get_by_label("Expires on").fill("2999-01-01")
    page.get_by_role("button", name="Create key").click()
    secret = page.locator("#secret code")
    expect(secret).to_have_text(re.compile("^iis_"), timeout=SOON)
    first = secret.inner_text()
    row = page.get_by_role("row", name="robot <b>")
    expect(row).to_contain_text("read", timeout=SOON)
    expect(row).to_contain_text("expires 01/01/2999")

    row.get_by_role("button", name="New secret").click()
    expect(secret).not_to_have_text(first, timeout=SOON)
    expect(row).to_contain_text(f"…{first[-4:]} still valid until", timeout=SOON)
    second = secret.inner_text()
    assert [status("/v1/jobs", key) for key in (first, second)] == [200, 200]
    assert [status("/v1/api-keys", key) for key in (first, second)] == [403, 403]

    page.on("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked", timeout=SOON)
    assert status("/v1/jobs", first) == 401
