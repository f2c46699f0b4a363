"""Fine-tuning on the page, in a real browser before a real service: asked for on the form, watched, read, and taken away."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from playwright.sync_api import Page, expect
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits

from iis_client.client import IISClient
from iis_client.transport.address import Address

CLASSES, IMAGES, PIXELS = 3, 60, 32
EPOCHS = 2
SOON, LATER = 30_000, 200_000  # milliseconds


@pytest.fixture(scope="module")
def inputs(stack: Address, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A ready model and a ready data set."""
    folder = tmp_path_factory.mktemp("inputs")
    digits = load_digits(n_class=CLASSES)
    with zipfile.ZipFile(folder / "digits.zip", "w") as archive:
        for index, (pixels, label) in enumerate(zip(digits.images[:IMAGES], digits.target[:IMAGES], strict=True)):
            png = io.BytesIO()
            Image.fromarray((pixels * 255 / 16).astype(np.uint8)).resize((PIXELS, PIXELS)).save(png, "PNG")
            archive.writestr(f"{label}/{index:04d}.png", png.getvalue())
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=CLASSES)
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / "start.safetensors")
    with IISClient(stack.url, stack.api_key) as client:
        arguments, preprocessing = {"num_classes": CLASSES}, {"input_size": PIXELS}
        model = client.create_model(
            "timm:test_resnet", checkpoint=folder / "start.safetensors", arguments=arguments, preprocessing=preprocessing, name="start"
        )
        dataset = client.create_dataset(folder / "digits.zip")
        return client.wait_until_ready(model)["id"], client.wait_until_ready(dataset)["id"]


@pytest.mark.timeout(400)
def test_a_model_is_fine_tuned_from_the_form_to_the_download(
    visit: Callable[..., Any], inputs: tuple[str, str], stack: Address, tmp_path: Path
) -> None:
    visitor = visit()
    visitor.expected_statuses.add(422)
    page: Page = visitor.page
    visitor.sign_in()
    visitor.open("/submit")
    expect(page.get_by_label("Model", exact=True)).to_be_visible(timeout=SOON)
    expect(page.get_by_role("heading", name="Training", exact=True)).to_be_hidden()
    page.get_by_label("Fine-tune a model").check()
    expect(page.get_by_role("heading", name="Training", exact=True)).to_be_visible()
    for hidden in ("Protocol", "Vision-language model", "Vocabulary"):
        expect(page.get_by_label(hidden)).to_be_hidden()
    expect(page.get_by_label("Made of").locator("option[value=text]")).to_be_disabled()
    page.get_by_label("How many").fill("6")
    page.get_by_label("Images cut for each class").fill("4")
    page.get_by_label("Epochs", exact=True).fill(str(EPOCHS))
    page.get_by_label("Learning rate").fill("0.001")
    page.get_by_label("λ, weight of the concepts' loss").fill("0")
    page.get_by_label("Seeds").fill("0, 1")
    page.get_by_role("button", name="Submit").click()
    weight = page.get_by_label("λ, weight of the concepts' loss")
    expect(weight).to_have_attribute("aria-invalid", "true", timeout=SOON)
    expect(page.get_by_text("lambda = 0 is the control")).to_be_visible()
    expect(page.get_by_text("needs 3 to 20 of them")).to_be_visible()

    weight.fill("1")
    page.get_by_label("Seeds").fill("0, 1, 2")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/jobs/job_*", timeout=LATER)
    job = page.url.rpartition("/")[2]
    expect(page.get_by_role("heading", name="Training", exact=True)).to_be_visible(timeout=LATER)  # with the first epoch
    expect(page.get_by_role("heading", name="Under way")).to_be_visible()
    expect(page.get_by_text("Training: treatment, seed 0").first).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(2, timeout=SOON)
    expect(page.locator("#job-about")).to_contain_text("fine-tuned by 6 clusters, λ = 1, on digits.zip")

    expect(page.get_by_role("heading", name="What the concepts' loss changed")).to_be_visible(timeout=LATER)
    with IISClient(stack.url, stack.api_key) as client:
        found = client.finetune_result(job)
        made = client.model(found["model"])
    expect(page.get_by_text(found["words"][0])).to_be_visible()
    expect(page.get_by_role("table", name="Networks and their scores").get_by_role("row")).to_have_count(1 + 1 + 2 * 3)
    expect(page.get_by_role("table", name="Paired differences").get_by_role("row")).to_have_count(1 + 3 * 3)
    expect(page.locator(".js-plotly-plot").first.locator(".scatterlayer .trace")).to_have_count(6, timeout=SOON)
    page.get_by_label("Of the head on").select_option("concepts")
    expect(page.locator(".ytitle").last).to_have_text("Accuracy, the kept concepts")
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("table", name="Epochs of every run").get_by_role("row")).to_have_count(1 + 6 * EPOCHS)

    visitor.expected_statuses.add(503)
    busy = {"status": 503, "code": "unavailable", "detail": "The database is away.", "request_id": "req_1"}
    page.route("**/v1/models/*", lambda route: route.fulfill(status=503, json=busy))
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("The database is away.", timeout=SOON)
    expect(page.get_by_text("has been deleted")).to_have_count(0)
    page.unroute("**/v1/models/*")
    page.get_by_role("button", name="Try again").click()

    with page.expect_download() as download:
        page.get_by_role("link", name="Download the checkpoint").click()
    download.value.save_as(tmp_path / "tuned.safetensors")
    assert download.value.suggested_filename == f"{made['id']}.safetensors"
    assert load_file(tmp_path / "tuned.safetensors")
    page.get_by_role("link", name="Score it").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value(made["id"], timeout=SOON)
    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.locator(".job")).to_contain_text("to the control", timeout=SOON)

    for width, scheme in ((390, "dark"), (1440, "light")):
        other = visit(width, scheme)
        other.sign_in()
        for path in (f"/jobs/{job}", "/submit"):
            other.open(path)
            if path == "/submit":
                other.page.get_by_label("Fine-tune a model").check()
                other.page.get_by_text("Schedule, library and precision").click()
            expect(other.page.get_by_role("heading", name="Training", exact=True)).to_be_visible(timeout=SOON)
            assert other.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the window"
            expect(other.page.get_by_role("alert")).to_have_count(0)
