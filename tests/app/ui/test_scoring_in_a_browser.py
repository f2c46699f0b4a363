"""Scoring in a real browser: sign-in, uploads, a form error, progress, result, concepts, images, comparison, sign-out."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from iis_client import IISClient
from iis_client.transport.address import Address
from support.browser import CONCEPTS, OpenWindow
from support.digits import ARCHITECTURE, CLASSES, PIXELS

SOON, LATER = 10_000, 90_000  # milliseconds
LOADED = "image => image.complete && image.naturalWidth > 0"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_new_user_uploads_scores_and_inspects_a_model(
    open_window: OpenWindow, account: Address, digits_archive: Path, checkpoint: Path
) -> None:
    window = open_window(account)
    page = window.page
    window.expected_statuses |= {401, 422}
    window.open("/submit")
    page.wait_for_url("**/sign-in?next=%2Fsubmit", timeout=SOON)
    page.get_by_label("API key").fill("iis_not-a-key")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("unknown or was revoked")
    page.get_by_label("API key").fill(account.api_key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(account.url + "/submit", timeout=SOON)
    assert page.evaluate("document.cookie") == ""

    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible(timeout=SOON)
    page.get_by_role("link", name="Submit a job").click()
    submit_with_one_correction(page, digits_archive, checkpoint)

    expect(page.get_by_role("heading", name="Progress")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("Extracting features").first).to_be_visible(timeout=LATER)
    expect(page.get_by_role("heading", name="Accuracy retained over sparsity")).to_be_visible(timeout=LATER)
    expect(page.locator(".js-plotly-plot .scatterlayer .trace")).to_have_count(6, timeout=SOON)  # three lines and their bands
    few, shown = (float(text.split()[0]) for text in page.locator(".score-value").all_inner_texts())
    job = page.url.rpartition("/")[2]
    report = page.evaluate("job => fetch(`/v1/jobs/${job}/result`).then((response) => response.json())", job)["report"]
    assert shown == pytest.approx(report["iis"], abs=5e-4)
    assert few == pytest.approx(report["few_concepts_mean"], abs=5e-4)
    expect(page.locator(".verdict")).to_contain_text(report["verdict"]["sentence"])
    assert report["library"]["elements"]["scales"] == [1, 2]
    expect(page.get_by_text("Crops: whole images + 2 × 2 grid of 3 images per class.")).to_be_visible()
    expect(page.locator("#job-about")).to_have_text(f"{CONCEPTS} clusters on digits <b>.zip")
    change_the_plot(page, points=sum(len(curve["points"]) for curve in (report, *report["controls"].values())))

    page.get_by_role("link", name="Concepts", exact=True).click()
    page.get_by_label("Fold near-duplicates").uncheck(timeout=LATER)
    expect(page.locator(".card")).to_have_count(CONCEPTS, timeout=SOON)
    crop = page.locator(".card img").first
    page.wait_for_function(LOADED, arg=crop.element_handle(), timeout=SOON)
    assert (crop.get_attribute("alt") or "").startswith("Crop from ")

    fewer = sorted({point["kept"] for point in report["points"]} - {0, CONCEPTS})[-1]
    explain_an_image(page, fewer)

    page.get_by_role("link", name="Compare").click()
    page.get_by_role("checkbox").first.check()
    expect(page.get_by_role("table", name="Scores of the selected jobs").get_by_role("row")).to_have_count(2, timeout=SOON)
    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.locator(".job")).to_contain_text(f"IIS {shown:.3f}", timeout=SOON)

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    window.open("/")
    page.wait_for_url("**/sign-in?next=%2F", timeout=SOON)


def submit_with_one_correction(page: Page, archive: Path, checkpoint: Path) -> None:
    """Fill in the form, first with an invalid architecture, and submit it."""
    page.get_by_label("Drop a data set here or choose a file").set_input_files(archive)
    page.get_by_label("Drop a checkpoint here or choose a file").set_input_files(checkpoint)
    page.get_by_label("Architecture").fill("timm")
    page.get_by_label("Arguments").fill(f"num_classes={CLASSES}")
    page.get_by_text("Name, origin, layer and preprocessing").click()
    page.get_by_label("Input size (pixels)").fill(str(PIXELS))
    page.get_by_label("Number of concepts").fill(str(CONCEPTS))
    page.get_by_label("2 × 2 grid").check()
    page.get_by_label("Images to crop per class").fill("3")
    page.get_by_role("button", name="Submit").click()
    architecture = page.get_by_label("Architecture")
    expect(architecture).to_have_attribute("aria-invalid", "true", timeout=LATER)
    assert "timm:NAME" in page.locator(f"#{architecture.get_attribute('aria-describedby')}").inner_text()
    architecture.fill(ARCHITECTURE)
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/jobs/job_*", timeout=LATER)


def change_the_plot(page: Page, points: int) -> None:
    """Change axis and measure of the curves, open their table, and show a tooltip; `points` are those of all curves."""
    before = page.locator(".xtick").all_inner_texts()
    page.get_by_label("X axis").select_option("kept")
    expect(page.locator(".xtitle")).to_have_text("Concepts kept")
    assert page.locator(".xtick").all_inner_texts() != before
    page.get_by_label("chance-corrected").check()
    expect(page.locator(".ytitle")).to_have_text("ARR, chance-corrected")
    page.get_by_text("Show as table").click()
    expect(page.get_by_role("table", name="Curve points").get_by_role("row")).to_have_count(points + 1)
    point = page.locator(".scatterlayer .point").nth(3).bounding_box()
    assert point is not None
    page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    expect(page.locator(".hoverlayer")).to_contain_text("kept", timeout=SOON)


def explain_an_image(page: Page, fewer: int) -> None:
    """Open the first test image, show a heat map, and change the number of concepts kept."""
    page.get_by_role("link", name="Images", exact=True).click()
    page.locator(".images .card a").first.click(timeout=LATER)
    page.wait_for_url(re.compile(r"/images/\d+"), timeout=LATER)
    page.locator(".concept-choice").first.click(timeout=LATER)
    expect(page.locator("figcaption")).to_contain_text("largest in the", timeout=LATER)
    expect(page.locator(".picture > .layers .heatmap")).to_have_attribute("data-concept", re.compile(r"\d+"), timeout=LATER)
    sheet = page.get_by_role("link", name="Summary figure, PNG")
    for key, kept in (("Home", CONCEPTS), ("ArrowRight", fewer)):
        page.get_by_label("Concepts kept").press(key)
        page.wait_for_url(f"**?kept={kept}", timeout=SOON)
        expect(sheet).to_have_attribute("href", re.compile(rf"/sheet\.png\?kept={kept}&top=8$"), timeout=SOON)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_layers_of_a_model_make_a_study_and_own_vectors_a_job(
    open_window: OpenWindow, account: Address, digits_archive: Path, checkpoint: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(digits_archive) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    rows = [f"{name},{'even' if int(Path(name).parent.name) % 2 == 0 else 'odd'}" for name in names]
    (tmp_path / "parity.csv").write_text("\n".join(["picture,parity", *rows]))
    np.save(tmp_path / "vectors.npy", np.eye(6, 64, dtype=np.float32))
    window = open_window(account)
    page = window.page
    window.sign_in()
    window.open("/submit")
    page.get_by_label("Drop a data set here or choose a file").set_input_files(digits_archive)
    page.get_by_text("Manifest: a table of paths, labels and splits").click()
    page.get_by_label("Drop a table here or choose a file").set_input_files(tmp_path / "parity.csv")
    page.get_by_label("Column of labels").fill("parity")
    page.get_by_label("Drop a checkpoint here or choose a file").set_input_files(checkpoint)
    page.get_by_label("Architecture").fill(ARCHITECTURE)
    page.get_by_label("Arguments").fill(f"num_classes={CLASSES}")
    page.get_by_text("Name, origin, layer and preprocessing").click()
    page.get_by_label("Input size (pixels)").fill(str(PIXELS))
    page.get_by_label("Layer", exact=True).fill("layer3, layer4")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/studies/std_*", timeout=LATER)
    with IISClient(account.url, account.api_key) as client:
        study = next(client.studies())
        assert [(entry.label or "").partition(" at ")[2] for entry in study.grid.models] == ["layer3", "layer4"]
        dataset = client.dataset(study.grid.datasets[0])
        assert dataset.info is not None
        assert dataset.info.class_names == ["even", "odd"]
        client.cancel_study(study)

        window.open(f"/submit?dataset={dataset.id}&model={study.grid.models[0].model}")
        page.get_by_label("Library kind").select_option("vectors")
        page.get_by_label("Drop a file of vectors here or choose one").set_input_files(tmp_path / "vectors.npy")
        page.get_by_role("button", name="Submit").click()
        page.wait_for_url("**/jobs/job_*", timeout=LATER)
        job = client.cancel(page.url.rpartition("/")[2])
        assert job.kind == "score"
        assert job.library.kind == "vectors"
