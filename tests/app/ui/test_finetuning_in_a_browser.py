"""Fine-tuning in a real browser: form, progress, result, download."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from safetensors.torch import load_file

from iis_client.client import IISClient
from iis_client.transport.address import Address
from support.browser import OpenWindow, Scheme
from support.digits import ARCHITECTURE, CLASSES, PIXELS, write_digits

IMAGES = 60
EPOCHS = 2
SEEDS = 3
SOON, LATER = 30_000, 200_000  # milliseconds
LAMBDA_LABEL = "λ, weight of the concept loss"


@pytest.fixture
def model_and_dataset(account: Address, checkpoint: Path, tmp_path: Path) -> tuple[str, str]:
    """Ids of a ready model and a ready data set."""
    with IISClient(account.url, account.api_key) as client:
        model = client.create_model(
            ARCHITECTURE, checkpoint=checkpoint, arguments={"num_classes": CLASSES}, preprocessing={"input_size": PIXELS}, name="start"
        )
        dataset = client.create_dataset(write_digits(tmp_path / "digits.zip", IMAGES))
        return client.wait_until_ready(model).id, client.wait_until_ready(dataset).id


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("model_and_dataset")
def test_a_model_is_fine_tuned_from_the_form_to_the_download(open_window: OpenWindow, account: Address, tmp_path: Path) -> None:
    window = open_window(account)
    window.expected_statuses |= {422, 503}
    page = window.page
    window.sign_in()
    window.open("/submit")
    submit_with_corrections(page)
    job = page.url.rpartition("/")[2]
    expect(page.get_by_role("heading", name="Training", exact=True)).to_be_visible(timeout=LATER)  # with the first epoch
    expect(page.get_by_role("heading", name="Progress")).to_be_visible()
    expect(page.get_by_text("Training: treatment, seed 0").first).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(2, timeout=SOON)
    expect(page.locator("#job-about")).to_contain_text("fine-tuned with 6 clusters, λ = 1, on digits.zip")

    expect(page.get_by_role("heading", name="Effect of the concept loss")).to_be_visible(timeout=LATER)
    with IISClient(account.url, account.api_key) as client:
        result = client.finetune_result(job)
        model = client.model(result.model)
    check_result(page, result.words[0])
    check_error_and_retry(page)

    with page.expect_download() as download:
        page.get_by_role("link", name="Download checkpoint").click()
    download.value.save_as(tmp_path / "tuned.safetensors")
    assert download.value.suggested_filename == f"{model.id}.safetensors"
    assert load_file(tmp_path / "tuned.safetensors")
    page.get_by_role("link", name="Score this model").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value(model.id, timeout=SOON)
    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.locator(".job")).to_contain_text("vs control", timeout=SOON)

    check_layout(open_window, account, job, 390, "dark")
    check_layout(open_window, account, job, 1440, "light")


def submit_with_corrections(page: Page) -> None:
    """Fill in the form, first with an invalid λ and too few seeds, and submit it."""
    expect(page.get_by_label("Model", exact=True)).to_be_visible(timeout=SOON)
    expect(page.get_by_role("heading", name="Training", exact=True)).to_be_hidden()
    page.get_by_label("Fine-tune a model").check()
    expect(page.get_by_role("heading", name="Training", exact=True)).to_be_visible()
    for hidden in ("Protocol", "Vision-language model", "Vocabulary"):
        expect(page.get_by_label(hidden)).to_be_hidden()
    expect(page.get_by_label("Library kind").locator("option[value=text]")).to_be_disabled()
    page.get_by_label("Number of concepts").fill("6")
    page.get_by_label("Images to crop per class").fill("4")
    page.get_by_label("Epochs", exact=True).fill(str(EPOCHS))
    page.get_by_label("Learning rate").fill("0.001")
    weight = page.get_by_label(LAMBDA_LABEL)
    weight.fill("0")
    page.get_by_label("Seeds").fill("0, 1")
    page.get_by_role("button", name="Submit").click()
    expect(weight).to_have_attribute("aria-invalid", "true", timeout=SOON)
    for field in (weight, page.get_by_label("Seeds")):
        expect(page.locator(f"#{field.get_attribute('aria-describedby')}")).to_be_visible()
    weight.fill("1")
    page.get_by_label("Seeds").fill(", ".join(str(seed) for seed in range(SEEDS)))
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/jobs/job_*", timeout=LATER)


def check_result(page: Page, sentence: str) -> None:
    """Compare tables and curves of the page with the number of runs and epochs."""
    expect(page.get_by_text(sentence)).to_be_visible()
    expect(page.get_by_role("table", name="Scores of all runs").get_by_role("row")).to_have_count(1 + 1 + 2 * SEEDS)
    expect(page.get_by_role("table", name="Paired differences").get_by_role("row")).to_have_count(1 + 3 * 3)
    expect(page.locator(".js-plotly-plot").first.locator(".scatterlayer .trace")).to_have_count(2 * SEEDS, timeout=SOON)
    page.get_by_label("Head on").select_option("concepts")
    expect(page.locator(".ytitle").last).to_have_text("Accuracy, kept concepts")
    page.get_by_text("Show as table").click()
    expect(page.get_by_role("table", name="Epochs of all runs").get_by_role("row")).to_have_count(1 + 2 * SEEDS * EPOCHS)


def check_error_and_retry(page: Page) -> None:
    """Reload while the model cannot be read: an error, not a deleted model; then try again."""
    unavailable = {"status": 503, "code": "unavailable", "detail": "The database is unavailable.", "request_id": "req_1"}
    page.route("**/v1/models/*", lambda route: route.fulfill(status=503, json=unavailable))
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("The database is unavailable.", timeout=SOON)
    expect(page.get_by_text("was deleted")).to_have_count(0)
    page.unroute("**/v1/models/*")
    page.get_by_role("button", name="Try again").click()


def check_layout(open_window: OpenWindow, account: Address, job: str, width: int, scheme: Scheme) -> None:
    """Result and form fit the window and show no error."""
    window = open_window(account, width, scheme)
    window.sign_in()
    for path in (f"/jobs/{job}", "/submit"):
        window.open(path)
        if path == "/submit":
            window.page.get_by_label("Fine-tune a model").check()
            window.page.get_by_text("Schedule, library and precision").click()
        expect(window.page.get_by_role("heading", name="Training", exact=True)).to_be_visible(timeout=SOON)
        assert window.fits(), f"{path} is wider than the window"
        expect(window.page.get_by_role("alert")).to_have_count(0)
