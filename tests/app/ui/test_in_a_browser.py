"""The page in a real browser, before a real service: what a person does there, from an empty list to a score and its concepts."""

from __future__ import annotations

import hashlib
import io
import random
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import timm
import torch
from PIL import Image
from playwright.sync_api import Page, Route, expect
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from iis_client.client import IISClient
from iis_client.errors import ConflictError
from iis_client.transport.address import Address

CLASSES, IMAGES, PIXELS = 3, 150, 32
COLOURS = """() => {
  const style = (selector) => getComputedStyle(document.querySelector(selector));
  return [style("body").backgroundColor, style("h1").color, style(".lede, .help, .colophon").color];
}"""
READ = """() => performance.getEntriesByType("resource").some((one) => one.name.includes("/v1/"))
  && !document.querySelector("[aria-busy]")"""
SOON, LATER = 10_000, 90_000  # milliseconds


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three digits as class folders, one of which has a name that is no HTML."""
    digits = load_digits(n_class=CLASSES)
    path = tmp_path_factory.mktemp("inputs") / "digits <b>.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index, (pixels, label) in enumerate(zip(digits.images[:IMAGES], digits.target[:IMAGES], strict=True)):
            png = io.BytesIO()
            Image.fromarray((pixels * 255 / 16).astype(np.uint8)).resize((PIXELS, PIXELS)).save(png, "PNG")
            archive.writestr(f"{label}/{index:04d}.png", png.getvalue())
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=CLASSES)
    path = tmp_path_factory.mktemp("inputs") / "untrained.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def job(stack: Address, archive: Path, checkpoint: Path) -> str:
    """A finished job: the one that the first test has submitted by the form, or else one that is submitted here."""
    with IISClient(stack.url, stack.api_key) as client:
        for known in client.jobs(state="succeeded"):
            return known["id"]
        data = client.create_dataset(archive)
        preprocessing = {"input_size": PIXELS}
        model = client.create_model(
            "timm:test_resnet", checkpoint=checkpoint, arguments={"num_classes": CLASSES}, preprocessing=preprocessing
        )
        ready = [client.wait_until_ready(one)["id"] for one in (model, data)]
        submitted = client.score(*ready, {"kind": "cluster", "concept_count": 8})
        return client.wait(submitted["id"])["id"]


def static(page: Page, name: str) -> str:
    """The address under which this page's own scripts are served."""
    return str(page.evaluate("name => new URL(name, document.querySelector('script[type=module]').src).href", name))


@pytest.mark.timeout(300)
def test_from_an_empty_system_to_an_explanation_by_clicks_alone(visit: Callable[..., Any], archive: Path, checkpoint: Path) -> None:
    visitor = visit()
    page: Page = visitor.page
    visitor.expected_statuses |= {401, 422}
    visitor.open("/submit")
    page.wait_for_url("**/sign-in?next=%2Fsubmit", timeout=SOON)
    page.get_by_label("API key").fill("iis_not-a-key")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("unknown or was revoked")
    page.get_by_label("API key").fill(visitor.address.api_key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(visitor.address.url + "/submit", timeout=SOON)
    assert page.evaluate("document.cookie") == ""

    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible(timeout=SOON)
    page.get_by_role("link", name="Submit a job").click()

    page.get_by_label("Drop the file here, or choose it").set_input_files(archive)
    page.get_by_label("Drop the checkpoint here, or choose it").set_input_files(checkpoint)
    page.get_by_label("Architecture").fill("timm")
    page.get_by_label("Its arguments").fill(f"num_classes={CLASSES}")
    page.get_by_text("Name, layer and preprocessing").click()
    page.get_by_label("Input size, pixels").fill(str(PIXELS))
    page.get_by_label("How many").fill("8")
    page.get_by_label("Images cut for each class").fill("3")
    page.get_by_role("button", name="Submit").click()
    architecture = page.get_by_label("Architecture")
    expect(architecture).to_have_attribute("aria-invalid", "true", timeout=LATER)
    assert "timm:NAME" in page.locator(f"#{architecture.get_attribute('aria-describedby')}").inner_text()

    architecture.fill("timm:test_resnet")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/jobs/job_*", timeout=LATER)
    expect(page.get_by_role("heading", name="Under way")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("Running the network over the images").first).to_be_visible(timeout=LATER)
    expect(page.get_by_role("heading", name="Accuracy retained as concepts are taken away")).to_be_visible(timeout=LATER)
    expect(page.locator(".js-plotly-plot .scatterlayer .trace")).to_have_count(4, timeout=SOON)  # two lines and their bands
    shown = float(page.locator(".score-value").inner_text().split()[0])
    job = page.url.rpartition("/")[2]
    report = page.evaluate("job => fetch(`/v1/jobs/${job}/result`).then((answer) => answer.json())", job)["report"]
    assert shown == pytest.approx(report["iis"], abs=5e-4)
    expect(page.locator("#job-about")).to_contain_text("digits <b>.zip")

    before = page.locator(".xtick").all_inner_texts()
    page.get_by_label("Drawn").select_option("kept")
    expect(page.locator(".xtitle")).to_have_text("Concepts kept")
    assert page.locator(".xtick").all_inner_texts() != before
    page.get_by_label("corrected for chance").check()
    expect(page.locator(".ytitle")).to_have_text("Accuracy above chance retained")
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("table", name="Points of the curves").get_by_role("row")).to_have_count(2 * len(report["points"]) + 1)
    point = page.locator(".scatterlayer .point").nth(3).bounding_box()
    assert point is not None
    page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    expect(page.locator(".hoverlayer")).to_contain_text("kept", timeout=SOON)

    page.get_by_role("link", name="Concepts", exact=True).click()
    expect(page.locator(".card")).to_have_count(8, timeout=SOON)
    crop = page.locator(".card img").first
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=crop.element_handle(), timeout=SOON)
    assert (crop.get_attribute("alt") or "").startswith("Crop from ")

    page.get_by_role("link", name="Images", exact=True).click()
    page.locator(".images .card a").first.click(timeout=LATER)
    page.wait_for_url(re.compile(r"/images/\d+"), timeout=LATER)
    page.locator(".concept-choice").first.click(timeout=LATER)
    expect(page.locator("figcaption")).to_contain_text("strongest", timeout=LATER)
    loaded = "image => image.complete && image.naturalWidth > 0"
    page.wait_for_function(loaded, arg=page.locator(".heatmap").element_handle(), timeout=LATER)
    sheet = page.get_by_role("link", name="One sheet for a paper, PNG")
    fewer = sorted({point["kept"] for point in report["points"]} - {0, 8})[-1]
    for key, kept in (("Home", 8), ("ArrowRight", fewer)):
        page.get_by_label("Fewer concepts to the right").press(key)
        page.wait_for_url(f"**?kept={kept}", timeout=SOON)
        expect(sheet).to_have_attribute("href", re.compile(rf"/sheet\.png\?kept={kept}&top=8$"), timeout=SOON)

    page.get_by_role("link", name="Compare").click()
    page.get_by_role("checkbox").first.check()
    expect(page.get_by_role("table", name="Scores of the chosen jobs").get_by_role("row")).to_have_count(2, timeout=SOON)
    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.locator(".job")).to_contain_text(f"IIS {shown:.3f}", timeout=SOON)

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    visitor.open("/")
    page.wait_for_url("**/sign-in?next=%2F", timeout=SOON)


@pytest.mark.timeout(180)
def test_a_prediction_is_taken_apart_and_changed(visit: Callable[..., Any], job: str, archive: Path, tmp_path: Path) -> None:
    visitor = visit()
    page: Page = visitor.page
    visitor.sign_in()
    visitor.open(f"/jobs/{job}/images")
    expect(page.locator(".images .card").first).to_be_visible(timeout=LATER)
    with zipfile.ZipFile(archive) as images:
        own = tmp_path / "own.png"
        own.write_bytes(images.read(images.namelist()[0]))
    page.get_by_label("Explain an image of your own").set_input_files(own)
    page.wait_for_url("**/images/img_*", timeout=LATER)
    expect(page.get_by_text("The true class of this image is not known.")).to_be_visible(timeout=SOON)

    concept = page.locator(".concept-choice").first
    concept.click()
    expect(page.locator("figcaption")).to_contain_text("strongest", timeout=SOON)
    layer = page.locator(".heatmap")
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=layer.element_handle(), timeout=SOON)
    page.keyboard.press("ArrowDown")
    expect(page.locator(".concept-choice").nth(1)).to_be_focused()

    before = page.locator(".ranking").nth(1).locator("li").first.inner_text().split()
    page.get_by_label(f"Strength of {concept.inner_text()}").first.press("Home")
    expect(page.get_by_text("suppressed").first).to_be_visible()
    table = page.get_by_role("table", name="Probabilities before and after")
    expect(table.get_by_role("row")).to_have_count(CLASSES + 1, timeout=SOON)
    row = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name=before[0], exact=True)).inner_text()
    assert before[1] in row
    page.get_by_role("button", name="As it was").click()
    expect(page.get_by_text("Everything is as it was.")).to_be_visible()

    page.get_by_label("Fewer concepts to the right").press("Home")
    page.wait_for_url("**?kept=8", timeout=SOON)
    expect(page.locator("#kept + output")).to_contain_text("8 concepts of 8 kept", timeout=SOON)
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=SOON)  # the classes to choose from are those of the new answer
    page.get_by_label("rather than").select_option(index=1)
    expect(page.get_by_text("rather than", exact=False).first).to_be_visible()
    page.wait_for_url("**contrast=*", timeout=SOON)
    page.get_by_role("link", name="Classes", exact=True).click()
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.get_by_role("heading", name="Class 1")).to_be_visible(timeout=SOON)
    page.locator(".contribution a").first.click()
    expect(page.get_by_role("heading", name="Test images that have most of it")).to_be_visible(timeout=SOON)


@pytest.mark.timeout(180)
def test_an_image_is_shown_as_it_was_asked_for_last_and_without_a_contrast_to_itself(visit: Callable[..., Any], job: str) -> None:
    visitor = visit()
    visitor.expected_statuses.add(422)
    page: Page = visitor.page
    visitor.sign_in()
    explained = page.evaluate("job => fetch(`/v1/jobs/${job}/explanations/0`).then((answer) => answer.json())", job)
    visitor.open(f"/jobs/{job}/images/0?contrast={explained['explained']['class']}")
    expect(page.locator("#contrast")).to_have_value("", timeout=SOON)
    assert "contrast" not in page.url

    fewer = sorted(node["kept"] for node in explained["nodes"])[-2]
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/explanations/0?kept=8*", hold)
    slider = page.get_by_label("Fewer concepts to the right")
    slider.press("Home")
    page.wait_for_url("**?kept=8", timeout=SOON)
    slider.press("ArrowRight")
    expect(page.locator("#kept + output")).to_contain_text(f"{fewer} concepts of 8 kept", timeout=SOON)
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=SOON)
    with page.expect_response("**/explanations/0?kept=8*"):
        held[0].continue_()
    page.wait_for_timeout(200)  # nothing is to happen
    expect(page.locator("#kept + output")).to_contain_text(f"{fewer} concepts of 8 kept")
    assert page.url.endswith(f"?kept={fewer}")


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_every_page_fits_the_window_and_its_words_can_be_read(visit: Callable[..., Any], job: str, width: int, scheme: str) -> None:
    visitor = visit(width, scheme)
    page = visitor.page
    visitor.sign_in()
    of_job = [f"/jobs/{job}{rest}" for rest in ("", "/concepts", "/concepts/0", "/images", "/images/0", "/classes", "/classes/1")]
    for path in ("/", "/submit", "/keys", f"/compare?job={job}", *of_job):
        visitor.open(path)
        page.wait_for_function(READ, timeout=LATER)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the window"
        expect(page.get_by_role("alert")).to_have_count(0)
        ground, ink, quiet = page.evaluate(COLOURS)
        assert min(contrast(ground, ink), contrast(ground, quiet)) >= 4.5


def test_a_narrow_window_cuts_no_figure_unnoticed(visit: Callable[..., Any], job: str) -> None:
    visitor = visit(390)
    page = visitor.page
    visitor.sign_in()
    visitor.open(f"/jobs/{job}")
    frame = page.get_by_role("region", name="Accuracy by class").locator(".table-frame")
    expect(frame).to_be_visible(timeout=LATER)
    assert frame.evaluate("frame => frame.scrollWidth <= frame.clientWidth")
    entries = page.locator(".masthead nav a")
    assert len(set(entries.evaluate_all("links => links.map((link) => link.getBoundingClientRect().top)"))) == 1

    page.get_by_text("The same as a table").click()
    frame = page.get_by_role("region", name="Points of the curves")
    hidden, moved = frame.evaluate("""frame => {
      frame.scrollLeft = frame.scrollWidth;
      const from = frame.getBoundingClientRect().left;
      return [frame.scrollLeft, [...frame.querySelectorAll("tr > :first-child")].map((cell) => cell.getBoundingClientRect().left - from)];
    }""")
    assert hidden > 0
    assert set(moved) == {0}
    assert "local" in frame.evaluate("frame => getComputedStyle(frame).backgroundAttachment")

    intervals = page.get_by_role("table", name="All figures of the report").locator("tbody td:nth-child(3)").all_inner_texts()
    assert any("%" in text for text in intervals)
    assert all(re.fullmatch(r"(\S+ to \S+)?|\S+\s% to \S+\s%", text) for text in intervals)


def test_what_runs_is_named_above_what_waits(visit: Callable[..., Any], stack: Address, job: str) -> None:
    visitor = visit()
    page = visitor.page
    visitor.sign_in()
    page.wait_for_function(READ, timeout=LATER)
    told = page.locator("#under-way")
    expect(told).to_be_hidden()
    with IISClient(stack.url, stack.api_key) as client:
        scored = client.job(job)
        submitted = [client.score(scored["model"], scored["dataset"], {"kind": "prototype"}, seed=seed)["id"] for seed in range(6)]
        try:
            visitor.open("/")
            expect(told).to_have_text(re.compile(r"Listed below: \d running \(.+\), \d queued"), timeout=SOON)
            named = [link.get_attribute("href") for link in told.get_by_role("link").all()]
            assert set(named) <= {f"/jobs/{one}" for one in submitted}
        finally:
            for one in submitted:
                with suppress(ConflictError):  # it has finished
                    client.cancel(one)


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2 between two `rgb(…)` colours."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
        return float(
            np.dot([0.2126, 0.7152, 0.0722], [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts])
        )

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_keyboard_reaches_the_content_first(visit: Callable[..., Any]) -> None:
    visitor = visit()
    visitor.sign_in()
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("main")).to_be_focused()


def test_the_apis_own_pages_ask_nobody_else(visit: Callable[..., Any]) -> None:
    visitor = visit()
    visitor.sign_in()
    visitor.page.get_by_role("link", name="API", exact=True).click()
    expect(visitor.page.locator(".opblock").first).to_be_visible(timeout=LATER)
    visitor.page.locator(".opblock-summary").first.click()
    expect(visitor.page.locator(".opblock-description, .parameters").first).to_be_visible(timeout=SOON)


def test_a_job_that_is_not_there_is_told_in_a_sentence(visit: Callable[..., Any]) -> None:
    visitor = visit()
    visitor.expected_statuses.add(404)
    visitor.sign_in()
    for rest in ("", "/concepts", "/images", "/classes"):
        visitor.open(f"/jobs/job_none{rest}")
        expect(visitor.page.get_by_role("alert")).to_contain_text("There is no job job_none", timeout=SOON)


def test_files_are_hashed_as_everywhere_else(visit: Callable[..., Any]) -> None:
    """Every length around the blocks of 64 bytes, whole and in pieces, against hashlib."""
    generator = random.Random(0)
    contents = [generator.randbytes(length) for length in (*range(132), 4096, 70_001)]
    visitor = visit()
    visitor.sign_in()
    script = """async ([name, lengths, cut, hex]) => {
      const {Sha256} = await import(name);
      const bytes = Uint8Array.from(hex.match(/../g) ?? [], (two) => parseInt(two, 16));
      let at = 0;
      return lengths.map((length) => {
        const hash = new Sha256(), end = at + length;
        for (; at < end; at = Math.min(end, at + cut)) hash.update(bytes.subarray(at, Math.min(end, at + cut)));
        return hash.hex();
      });
    }"""
    name = static(visitor.page, "sha256.js")
    for cut in (1, 63, 64, 65, 1_000_000):
        argument = [name, [len(content) for content in contents], cut, b"".join(contents).hex()]
        assert visitor.page.evaluate(script, argument) == [hashlib.sha256(content).hexdigest() for content in contents]


def test_an_upload_that_broke_off_goes_on_with_the_parts_that_are_missing(visit: Callable[..., Any], stack: Address) -> None:
    visitor = visit()
    page = visitor.page
    visitor.sign_in()
    sent: list[str] = []

    def pass_two(route: Route) -> None:
        if len(sent) >= 2:
            route.abort()
            return
        sent.append(route.request.url.rpartition("/")[2])
        route.continue_()

    send = """async ([name, fill]) => {
      const {sendFile} = await import(name);
      const file = new File([new Uint8Array(1000).fill(fill)], "part.bin");
      try { return (await sendFile(file, {partBytes: 200})).state } catch (error) { return error.message }
    }"""
    argument = [static(page, "uploading.js"), 7]
    page.route("**/parts/*", pass_two)
    assert "does not answer" in page.evaluate(send, argument)
    page.unroute("**/parts/*")
    again: list[str] = []
    page.on("request", lambda request: again.append(request.url.rpartition("/")[2]) if request.method == "PUT" else None)
    assert page.evaluate(send, argument) == "complete"
    assert sorted(sent + again) == ["1", "2", "3", "4", "5"]
    visitor.wrong.clear()  # the browser tells of the connections that were cut here
    uploads = httpx.get(f"{stack.url}/v1/uploads", headers={"Authorization": f"Bearer {stack.api_key}"}).json()["data"]
    (complete,) = [upload for upload in uploads if upload["filename"] == "part.bin"]
    assert (complete["state"], complete["sha256"]) == ("complete", hashlib.sha256(bytes([7]) * 1000).hexdigest())


def test_what_the_pages_say_follows_from_what_the_api_says(visit: Callable[..., Any]) -> None:
    visitor = visit()
    page = visitor.page
    visitor.sign_in()

    def call(module: str, function: str, *arguments: Any) -> Any:
        script = "async ([name, callee, given]) => (await import(name))[callee](...given)"
        return page.evaluate(script, [static(page, module), function, list(arguments)])

    removed = [{"concept": 1, "label": "a loop"}, {"concept": 2, "label": None}]
    flip = {"counterfactual": {"removed": removed, "class": "3", "probability": 0.5}, "explained": {"class": "8"}}
    assert (
        call("explanations.js", "counterfactualSentence", flip)
        == "Without “a loop” and “Concept 2” it would be 3 (50.0\u202f%) instead of 8."
    )
    stays = call("explanations.js", "counterfactualSentence", flip | {"counterfactual": None})
    assert stays == "Whatever concepts are taken away, it stays 8."
    assert call("explanations.js", "peakWords", [[0, 0, 0], [0, 0, 0], [0, 0.1, -2]]).startswith(
        "strongest in the lower right, where it speaks against"
    )
    assert call("explanations.js", "peakWords", [[0, 0], [0, 0]]) == "nowhere in particular"
    points = [{"kept": kept, "sparsity": 1 - kept / 4, "arr_chance_corrected": None if kept == 2 else 0.5} for kept in (0, 2, 4)]
    for choices, kept in (({"axis": "kept", "corrected": False}, [4, 2]), ({"axis": "sparsity", "corrected": True}, [4, 0])):
        assert [point["kept"] for point in call("curves.js", "shownPoints", points, choices)] == kept
    parts = call("uploading.js", "planParts", 1001, 500)
    assert [(part["number"], part["start"], part["size"]) for part in parts] == [(1, 0, 500), (2, 500, 500), (3, 1000, 1)]
    assert len(call("uploading.js", "planParts", 10**12)) <= 10_000
    assert call("words.js", "number", -0.5, 2) == "−0.50"
    assert call("words.js", "interval", -0.0004, 0.0094) == "0.000 to 0.009"
    assert [call("words.js", "signed", value) for value in (-0.0004, 0.0004, -0.0006, 0.0006, None)] == [
        "0.000",
        "0.000",
        "−0.001",
        "+0.001",
        "–",
    ]
    assert call("charts.js", "escapeLabel", "<b>&") == "&lt;b&gt;&amp;"
    changes = "[[1, {factor: 0}], [2, {factor: 2}], [3, {factor: 1}], [4, {activation: 0}]]"
    script = f"async (name) => (await import(name)).interventionBody(new Map({changes}), 5)"
    body = page.evaluate(script, static(page, "explanations.js"))
    assert body == {"kept": 5, "set": [{"concept": 4, "activation": 0}], "scale": [{"concept": 2, "factor": 2}], "suppress": [1]}


def test_a_key_is_made_given_a_new_secret_and_revoked_by_clicks_alone(visit: Callable[..., Any]) -> None:
    visitor = visit()
    page: Page = visitor.page
    visitor.sign_in()
    page.get_by_role("link", name="Keys", exact=True).click()
    expect(page.get_by_role("row", name="Unfinished jobs")).to_be_visible(timeout=SOON)
    page.get_by_label("Name").fill("robot <b>")
    page.get_by_label("Ends on").fill("2999-01-01")
    page.get_by_role("button", name="Make a key").click()
    secret = page.locator("#secret code")
    expect(secret).to_have_text(re.compile("^iis_"), timeout=SOON)
    first = secret.inner_text()
    made = page.get_by_role("row", name="robot <b>")
    expect(made).to_contain_text("read", timeout=SOON)
    expect(made).to_contain_text("until")

    made.get_by_role("button", name="New secret").click()
    expect(secret).not_to_have_text(first, timeout=SOON)
    expect(made).to_contain_text(f"…{first[-4:]} still works until", timeout=SOON)
    statuses = [
        httpx.get(visitor.address.url + path, headers={"Authorization": f"Bearer {key}"}).status_code
        for path in ("/v1/jobs", "/v1/api-keys")
        for key in (first, secret.inner_text())
    ]
    assert statuses == [200, 200, 403, 403]

    page.on("dialog", lambda dialog: dialog.accept())
    made.get_by_role("button", name="Revoke").click()
    expect(made).to_contain_text("revoked", timeout=SOON)
    assert httpx.get(visitor.address.url + "/v1/jobs", headers={"Authorization": f"Bearer {first}"}).status_code == 401
