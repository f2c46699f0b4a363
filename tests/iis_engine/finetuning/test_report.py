"""Comparison of treatment, control and probe: numbers computed by hand, and the sentences of the report."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iis_engine.errors import SettingError
from iis_engine.finetuning.report import compare_runs


def report(accuracy: float, iis: float | None) -> dict[str, Any]:
    return {"accuracy_representation": accuracy, "iis": iis}


def arms(treatment: list[float], control: list[float]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return [report(0.9, value) for value in treatment], [report(0.9, value) for value in control]


def test_differences_are_paired_by_seed_with_students_interval() -> None:
    """Differences .1, .2, .3: mean .2, deviation .1, t(.975; 2) = 4.30265, half-width 4.30265 · .1 / √3 = .24841."""
    compared = compare_runs(report(0.8, 0.5), *arms([0.8, 0.7, 0.9], [0.7, 0.5, 0.6]), [3, 4, 5])
    found = compared["iis"]["differences"]["treatment_minus_control"]
    assert compared["seeds"] == [3, 4, 5]
    assert found["values"] == pytest.approx([0.1, 0.2, 0.3])
    assert (found["mean"], found["low"], found["high"]) == pytest.approx((0.2, 0.2 - 0.248414, 0.2 + 0.248414), abs=1e-5)
    assert found["sentence"].startswith(
        "No difference beyond noise: IIS with interpretability maximisation minus IIS in the control is +0.2000"
    )
    assert compared["iis"]["values"] == {"probe": 0.5, "treatment": [0.8, 0.7, 0.9], "control": [0.7, 0.5, 0.6]}
    assert compared["iis"]["means"]["control"] == pytest.approx(0.6)
    json.dumps(compared)


def test_a_significant_difference_is_reported_with_its_direction() -> None:
    compared = compare_runs(report(0.8, 0.9), *arms([0.8, 0.81, 0.82], [0.7, 0.72, 0.71]), [0, 1, 2])
    differences = compared["iis"]["differences"]
    assert differences["treatment_minus_control"]["sentence"].startswith(
        "IIS is higher with interpretability maximisation than in the control (+0.1000"
    )
    assert differences["control_minus_probe"]["sentence"].startswith("IIS is lower in the control than in the network as it was (-0.1900")


def test_identical_arms_are_reported_as_equal() -> None:
    found = compare_runs(report(0.8, 0.5), *arms([0.5, 0.6], [0.5, 0.6]), [0, 1])["iis"]["differences"]["treatment_minus_control"]
    assert (found["mean"], found["low"], found["high"]) == (0.0, 0.0, 0.0)
    assert found["sentence"] == "IIS is the same with interpretability maximisation as in the control, in each of 2 seeds."


def test_equal_differences_in_every_seed_have_no_interval() -> None:
    """Accuracies on few test images are steps, so that three seeds can agree by chance."""
    compared = compare_runs(report(0.8, 0.5), *arms([0.5, 0.5], [0.5, 0.5]), [0, 1])
    found = compared["accuracy"]["differences"]["treatment_minus_probe"]
    assert (found["mean"], found["low"], found["high"]) == (pytest.approx(0.1), None, None)
    assert "in each of 2 seeds alike, so that there is no interval" in found["sentence"]


def test_a_withheld_score_leaves_no_difference() -> None:
    compared = compare_runs(report(0.8, 0.5), [report(0.1, None), report(0.9, 0.5)], [report(0.9, 0.4), report(0.9, 0.4)], [0, 1])
    found = compared["iis"]["differences"]["treatment_minus_control"]
    assert found["values"] == [None, pytest.approx(0.1)]
    assert found["mean"] is None
    assert "cannot be compared" in found["sentence"]
    assert compared["iis"]["means"]["treatment"] is None
    assert compared["accuracy"]["differences"]["treatment_minus_control"]["mean"] is not None


def test_the_accuracy_as_trained_is_compared_where_it_was_measured() -> None:
    """The network before fine-tuning has only the solved head."""
    treatment, control = ([report(0.9, 0.5) | {"accuracy_trained": value} for value in arm] for arm in ([0.7, 0.8], [0.6, 0.75]))
    found = compare_runs(report(0.8, 0.5), treatment, control, [0, 1])["accuracy_trained"]
    assert found["differences"]["treatment_minus_control"]["values"] == pytest.approx([0.1, 0.05])
    assert found["differences"]["control_minus_probe"]["values"] == pytest.approx([-0.2, -0.05])
    assert found["differences"]["treatment_minus_control"]["sentence"].startswith("No difference beyond noise: Accuracy as trained")
    assert "accuracy_trained" not in compare_runs(report(0.8, 0.5), *arms([0.5, 0.6], [0.5, 0.6]), [0, 1])


def test_the_report_of_a_head_only_run_states_that_iis_cannot_change() -> None:
    compared = compare_runs(report(0.9, 0.5), *arms([0.5, 0.5], [0.5, 0.5]), [0, 1], "head")
    sentences = [compared[name]["differences"][pair]["sentence"] for name in ("accuracy", "iis") for pair in compared[name]["differences"]]
    assert all("f was frozen and scoring solves the heads anew" in sentence for sentence in sentences)
    assert sentences[3].endswith("IIS is the same with interpretability maximisation as in the control, in each of 2 seeds.")


def test_one_seed_has_no_interval() -> None:
    found = compare_runs(report(0.8, 0.5), *arms([0.6], [0.5]), [7])["iis"]["differences"]["treatment_minus_control"]
    assert (found["low"], found["high"]) == (None, None)
    assert found["sentence"].endswith("one seed gives no interval.")


def test_a_seed_without_its_control_is_refused() -> None:
    with pytest.raises(SettingError, match="2 seeds, 2 treatments, 1 controls"):
        compare_runs(report(0.8, 0.5), *arms([0.6, 0.7], [0.5]), [0, 1])
