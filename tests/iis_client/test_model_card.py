"""The model card's metadata is read by huggingface_hub, and names from users cannot change its form."""

from __future__ import annotations

from typing import Any

from huggingface_hub import ModelCard

from iis_client.model_card import model_card
from iis_schemas.results.reports import REPORT_EXAMPLE, Report


def card(model: str = "resnet18, epoch 90", dataset: str = "digits", **changes: Any) -> str:
    return model_card(Report.model_validate({**REPORT_EXAMPLE, **changes}), model=model, dataset=dataset, job="job_1")


def evaluated(text: str) -> dict[str, float]:
    data: Any = ModelCard(text).data
    return {result.metric_type: result.metric_value for result in data.eval_results}


def test_the_metadata_has_the_scores_of_the_report() -> None:
    text = card()
    assert evaluated(text) == {
        "iis": 0.921,
        "accuracy_at_few_concepts": 0.755,
        "gain_over_matched_directions": 0.113,
        "accuracy": 0.928,
    }
    data: Any = ModelCard(text).data
    assert data.model_name == "resnet18, epoch 90"
    assert {result.dataset_name for result in data.eval_results} == {"digits"}


def test_the_section_has_verdict_interval_and_both_controls() -> None:
    section = ModelCard(card(warnings=["few | images"])).text
    assert "The representation reads through its concepts" in section
    assert "| concepts | 0.921 [0.909, 0.933] | 0.755 |" in section
    assert "| matched directions | 0.842 [0.829, 0.855] | 0.642 |" in section
    assert "- few \\| images" in section


def test_a_withheld_score_is_left_out_of_the_metadata() -> None:
    text = card(iis=None, iis_low=None, iis_high=None)
    assert "iis" not in evaluated(text)
    assert "| concepts | withheld |" in text


def test_names_with_markup_and_line_breaks_stay_text() -> None:
    name = "a: [x]\n---\n<script> | `"
    text = card(model=name, dataset=name)
    data: Any = ModelCard(text).data
    assert data.model_name == name
    assert {result.dataset_name for result in data.eval_results} == {name}
    assert "<script>" not in ModelCard(text).text.replace("\\<script\\>", "")
