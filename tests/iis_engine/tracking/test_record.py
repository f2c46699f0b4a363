"""What is logged of a score is that of its report, from engine and service alike."""

from __future__ import annotations

import json
import sys
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from iis_engine.tracking.mlflow_runs import log_mlflow_run
from iis_engine.tracking.record import RunRecord, run_record
from iis_engine.tracking.wandb_runs import log_wandb_run
from iis_schemas.results.reports import REPORT_EXAMPLE
from iis_schemas.results.results import RESULT_EXAMPLE


def record(**changes: Any) -> RunRecord:
    return run_record({**REPORT_EXAMPLE, **changes})


def test_metrics_have_the_numbers_of_the_report_with_their_intervals() -> None:
    metrics = record().metrics
    assert [metrics[f"iis{end}"] for end in ("", "_low", "_high")] == [0.921, 0.909, 0.933]
    assert metrics["iis_few_concepts"] == 0.755
    assert metrics["iis_accuracy_representation"] == 0.928
    assert (metrics["iis_matched/few_gain"], metrics["iis_matched/few_gain_low"]) == (0.113, 0.081)
    assert metrics["iis_isotropic/iis"] == 0.842
    assert metrics["iis_chance"] == 0.102
    assert all(name.startswith("iis") for name in metrics)


def test_withheld_numbers_are_absent_and_precision_is_named() -> None:
    metrics = record(iis=None, iis_low=None, iis_high=None, quantity="mean_average_precision").metrics
    assert not {"iis", "iis_low", "iis_high", "iis_accuracy_representation"} & set(metrics)
    assert metrics["iis_mean_average_precision_representation"] == 0.928


def test_the_curve_has_a_row_for_each_number_of_kept_concepts_ascending() -> None:
    point = REPORT_EXAMPLE["points"][0]
    rows = record(points=[{**point, "sparsity": 0.5, "kept": 100, "arr": 1.0}, point]).curve
    assert [(row["iis_curve/kept"], row["iis_curve/sparsity"], row["iis_curve/arr"]) for row in rows] == [(20, 0.9, 0.941), (100, 0.5, 1.0)]
    assert (rows[0]["iis_curve/arr_matched"], rows[0]["iis_curve/arr_isotropic"]) == (0.798, 0.798)
    assert "iis_curve/arr_matched" not in rows[1]


def test_parameters_are_the_configuration_with_flat_names() -> None:
    parameters = record().parameters
    assert parameters["iis.configuration.activations"] == "calibrated"
    assert (parameters["iis.library.kind"], parameters["iis.library.concept_count"]) == ("cluster", 200)
    assert parameters["iis.library.elements.scales"] == "[4]"
    assert (parameters["iis.classes"], parameters["iis.test_count"]) == (4, 359)


def test_the_verdict_and_the_job_are_tags() -> None:
    tags = run_record(RESULT_EXAMPLE).tags
    assert tags["iis.verdict"] == "reads_through_concepts"
    assert tags["iis.verdict_sentence"].startswith("The representation reads through its concepts")
    assert tags["iis.job"] == RESULT_EXAMPLE["job"]


def test_a_result_and_its_report_are_logged_alike() -> None:
    of_service, of_engine = run_record(RESULT_EXAMPLE), record()
    assert (of_service.metrics, of_service.curve, of_service.files) == (of_engine.metrics, of_engine.curve, of_engine.files)


def test_the_files_are_the_report_as_json_and_page_and_the_curve_as_a_figure() -> None:
    files = record().files
    assert json.loads(files["iis/report.json"]) == REPORT_EXAMPLE
    assert "The representation reads through its concepts" in files["iis/report.html"]
    assert ET.fromstring(files["iis/arr.svg"]).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 (our own)


def test_a_report_of_the_first_release_is_logged() -> None:
    stored = {"protocol": "exact", "library": {"kind": "cluster", "concept_count": 8}, "accuracy_representation": 0.5, "points": []}
    old = run_record({**stored, "iis": None, "iis_low": None, "iis_high": None, "warnings": []})
    assert (old.metrics, old.curve, old.tags) == ({"iis_accuracy_representation": 0.5}, [], {})


@pytest.mark.parametrize(("log", "package"), [(log_mlflow_run, "mlflow"), (log_wandb_run, "wandb")])
def test_a_missing_package_is_named_with_the_extra_that_has_it(monkeypatch: pytest.MonkeyPatch, log: Any, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"pip install 'iis\[{package}\]'"):
        log(record())
