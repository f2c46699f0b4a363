"""Answers show themselves in a notebook and become tables."""

from __future__ import annotations

from typing import Any

import pytest

from iis_client import IISClient
from iis_client.answers import ImageExplanation, Result
from iis_client.transport.messages import parse_answer
from iis_schemas.explanations.images import EXPLANATION_EXAMPLE
from iis_schemas.jobs.views import SCORE_JOB_EXAMPLE
from iis_schemas.results.results import RESULT_EXAMPLE
from support.scripted_service import ScriptedService


def result(**changes: Any) -> Result:
    report: dict[str, Any] = {**RESULT_EXAMPLE["report"], **changes}
    return parse_answer(Result, {**RESULT_EXAMPLE, "report": report, "novel": 3})


def test_a_result_shows_verdict_numbers_with_both_controls_and_the_curve() -> None:
    shown = result(notes=["the <mean> was assumed"])._repr_html_()
    assert "The representation reads through its concepts" in shown
    assert "0.921 [0.909, 0.933]" in shown
    assert shown.count("0.842 [0.829, 0.855]") == 2
    assert shown.count("<polyline ") >= 3 + 3
    assert "the &lt;mean&gt; was assumed" in shown


def test_a_result_keeps_every_field_and_becomes_a_table_of_its_curves() -> None:
    found = result()
    assert found.to_dict()["novel"] == 3
    frame = found.to_frame()
    assert list(frame["curve"]) == ["library", "isotropic", "matched"]
    assert list(frame["arr"])[1:] == [0.798, 0.798]


def test_a_report_of_the_first_release_without_verdict_or_controls_is_shown() -> None:
    stored = {"protocol": "exact", "library": {"kind": "cluster", "concept_count": 8}, "accuracy_representation": 0.5, "points": []}
    withheld: dict[str, Any] = {"iis": None, "iis_low": None, "iis_high": None, "warnings": []}
    old = parse_answer(Result, {**RESULT_EXAMPLE, "report": stored | withheld})
    assert "withheld" in old._repr_html_()
    assert len(old.to_frame()) == 0


def test_an_explanation_shows_predictions_contributions_and_the_counterfactual() -> None:
    explanation = ImageExplanation.model_validate(EXPLANATION_EXAMPLE)
    shown = explanation._repr_html_()
    for words in ("Why 3?", "a curved stroke", "+1.30", "Without 1 concept it would be 2 (50.0%)", "20 of 200 concepts: 3 (94.0%)"):
        assert words in shown
    assert list(explanation.to_frame()["concept"]) == [17]


def test_the_counterfactual_of_a_label_takes_its_probability_across_one_half() -> None:
    found = EXPLANATION_EXAMPLE["counterfactual"] | {"class": "not sky", "index": 1, "probability": 0.75}
    sky = EXPLANATION_EXAMPLE | {"explained": {"class": "sky", "index": 0}, "labels": [], "counterfactual": found}
    assert "Without 1 concept the probability of sky falls below 1/2 (25.0%)." in ImageExplanation.model_validate(sky)._repr_html_()
    stays = ImageExplanation.model_validate(sky | {"counterfactual": None, "logit": -1.0})._repr_html_()
    assert "The probability of sky stays below 1/2 after any removal of concepts." in stays


def test_waiting_shows_the_stage_of_a_running_job(scripted: ScriptedService, capsys: pytest.CaptureFixture[str]) -> None:
    applied = {"Preference-Applied": "wait=2"}
    running, done = SCORE_JOB_EXAMPLE, {**SCORE_JOB_EXAMPLE, "state": "succeeded", "progress": None}
    scripted.answer(f"GET /v1/jobs/{running['id']}", (200, running, applied), (200, done, applied))
    with IISClient(scripted.url, "iis_key") as client:
        assert client.wait(running["id"], progress=True).state == "succeeded"
    assert f"Job {running['id']} succeeded" in capsys.readouterr().out.replace("\n", "")
