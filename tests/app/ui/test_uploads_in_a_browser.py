"""Uploads in a real browser: an interrupted upload is resumed, and the same file in two fields is one upload."""

from __future__ import annotations

import hashlib

import httpx
from playwright.sync_api import FilePayload, Route, expect

from iis_client.transport.address import Address
from support.browser import OpenWindow

PART_BYTES, VALUE = 65536, 7  # the least size of a part
SIZE_BYTES = 5 * PART_BYTES
SOON = 10_000  # milliseconds
UPLOAD = """async ([sizeBytes, partBytes, value]) => {
  const address = new URL("uploading.js", document.querySelector("script[type=module]").src);
  const {uploadFile} = await import(address.href);
  const file = new File([new Uint8Array(sizeBytes).fill(value)], "part.bin");
  try { return (await uploadFile(file, {partBytes})).state } catch (error) { return error.message }
}"""


def test_an_interrupted_upload_resumes_with_the_missing_parts(open_window: OpenWindow, account: Address) -> None:
    window = open_window(account)
    page = window.page
    window.sign_in()
    sent: list[str] = []

    def pass_two(route: Route) -> None:
        if len(sent) >= 2:
            route.abort()
            return
        sent.append(route.request.url.rpartition("/")[2])
        route.continue_()

    page.route("**/parts/*", pass_two)
    assert "does not respond" in page.evaluate(UPLOAD, [SIZE_BYTES, PART_BYTES, VALUE])
    page.unroute("**/parts/*")
    resumed: list[str] = []
    page.on("request", lambda request: resumed.append(request.url.rpartition("/")[2]) if request.method == "PUT" else None)
    assert page.evaluate(UPLOAD, [SIZE_BYTES, PART_BYTES, VALUE]) == "complete"
    assert sorted(sent + resumed) == ["1", "2", "3", "4", "5"]
    window.problems.clear()  # the console reports the interrupted requests
    uploads = httpx.get(f"{account.url}/v1/uploads", headers={"Authorization": f"Bearer {account.api_key}"}).json()["data"]
    (upload,) = uploads
    assert (upload["filename"], upload["state"]) == ("part.bin", "complete")
    assert upload["sha256"] == hashlib.sha256(bytes([VALUE]) * SIZE_BYTES).hexdigest()


def test_the_same_file_in_two_fields_is_sent_once(open_window: OpenWindow, account: Address) -> None:
    window = open_window(account)
    page = window.page
    window.sign_in()
    window.open("/submit")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
    file: FilePayload = {"name": "both.bin", "mimeType": "application/octet-stream", "buffer": bytes([VALUE]) * SIZE_BYTES}
    for field in ("Drop a data set here or choose a file", "Drop a checkpoint here or choose a file"):
        page.get_by_label(field).set_input_files(file)
    expect(page.locator(".upload-state").filter(has_text="uploaded.")).to_have_count(2, timeout=SOON)
    assert len(sent) == 1
    uploads = httpx.get(f"{account.url}/v1/uploads", headers={"Authorization": f"Bearer {account.api_key}"}).json()["data"]
    assert [upload["filename"] for upload in uploads] == ["both.bin"]
