"""Lists and pages of models and data sets in a real browser."""

from __future__ import annotations

import re

from playwright.sync_api import Dialog, expect

from iis_client.client import IISClient
from support.browser import OpenWindow, ScoredJob

SOON = 10_000  # milliseconds


def test_a_model_page_shows_its_settings_and_scores_and_saves_its_description(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account)
    page = window.page
    window.sign_in()
    with IISClient(scored_job.account.url, scored_job.account.api_key) as client:
        model, report = client.model(scored_job.model), client.result(scored_job.id).report
        window.open(f"/models/{scored_job.model}")
        scores = page.get_by_role("table", name="Jobs and their scores")
        expect(scores).to_contain_text(f"{report.iis:.3f}", timeout=SOON)
        expect(page.get_by_role("table", name="Settings of the model")).to_contain_text(model.architecture)
        page.get_by_text("Name, tags and notes").click()
        page.get_by_label("Tags, with commas between").fill("first, second")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved.", exact=True)).to_be_visible(timeout=SOON)
        assert client.model(scored_job.model).tags == ["first", "second"]
        window.open("/models?tag=second")
        expect(page.locator(".job")).to_have_count(1, timeout=SOON)
        page.get_by_label("Tag").fill("third")
        expect(page.get_by_role("heading", name="No matching models")).to_be_visible(timeout=SOON)
        client.update_model(scored_job.model, tags=[])


def test_a_data_set_is_deleted_after_a_question_that_says_what_uses_it(open_window: OpenWindow, scored_job: ScoredJob) -> None:
    window = open_window(scored_job.account)
    page = window.page
    window.sign_in()
    questions: list[str] = []

    def answer(dialog: Dialog) -> None:
        questions.append(dialog.message)
        if "spare" in dialog.message:
            dialog.accept()
        else:
            dialog.dismiss()

    page.on("dialog", answer)
    with IISClient(scored_job.account.url, scored_job.account.api_key) as client:
        dataset = client.dataset(scored_job.dataset)
        window.open(f"/datasets/{scored_job.dataset}")
        classes = page.get_by_role("table", name="Classes and their images").locator("tbody tr")
        assert dataset.info is not None
        expect(classes).to_have_count(len(dataset.info.class_names), timeout=SOON)
        expect(classes.first).to_contain_text(str(dataset.info.counts.train[dataset.info.class_names[0]]))
        with page.expect_event("dialog"):
            page.get_by_role("button", name="Delete this data set").click()
        expect(page.get_by_text(re.compile("^Used by .*finished job"))).to_be_visible()

        spare = client.create_dataset(scored_job.archive, name="spare", split_seed=9)
        client.wait_until_ready(spare)
        window.open("/datasets?name=spare")
        page.get_by_role("button", name="Delete spare").click()
        expect(page.get_by_role("heading", name="No matching data sets")).to_be_visible(timeout=SOON)
        assert [re.search(r"Used by [^,.]*finished job|Not used", question) is not None for question in questions] == [True, True]
        assert [one.id for one in client.datasets(name_contains="spare")] == []
        assert client.dataset(scored_job.dataset).id == scored_job.dataset, "the first question was declined"
