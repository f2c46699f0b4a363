"""Scores of multi-label data: mean average precision in the place of accuracy, from the heads to the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler

from benchmarks.average_precision_coverage import measure_coverage
from iis_engine.errors import SettingError
from iis_engine.features.canonical_order import in_canonical_order
from iis_engine.features.feature_set import FeatureSet
from iis_engine.report import IISReport
from iis_engine.scoring.ensemble import build_libraries
from iis_engine.scoring.exact import measure_exact
from iis_engine.scoring.measurement import Measurement
from iis_engine.scoring.score import score_features
from iis_engine.specs import LibrarySpec, ScoreSpec
from support.multi_label import NAMES, PREVALENCES, multi_label_features

SPEC = ScoreSpec(LibrarySpec("prototype", 6))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def features() -> FeatureSet:
    return multi_label_features()


@pytest.fixture(scope="module")
def measured(features: FeatureSet) -> Measurement:
    return measure_exact(features, build_libraries(features, SPEC).libraries[:2], 0, CPU)


@pytest.fixture(scope="module")
def report(features: FeatureSet) -> IISReport:
    return score_features(features, SPEC)


def test_the_representation_has_the_mean_average_precision_of_scikit_learns_one_vs_rest_heads(
    features: FeatureSet, measured: Measurement
) -> None:
    assert features.labels_train is not None
    assert features.labels_test is not None
    scaler = StandardScaler().fit(features.X_train.double().numpy())
    train, test = (scaler.transform(X.double().numpy()) for X in (features.X_train, features.X_test))
    found: list[float] = []
    for label in range(len(NAMES)):
        strength = measured.solver["baseline_strength"]
        model = LogisticRegression(C=1 / (len(train) * strength), tol=1e-10, max_iter=10_000).fit(train, features.labels_train[:, label])
        found.append(float(average_precision_score(features.labels_test[:, label], model.decision_function(test))))
    assert float(measured.baseline_correct.double().mean()) == pytest.approx(float(np.mean(found)), abs=1e-4)


def test_the_constant_prediction_has_the_mean_prevalence_and_the_file_keeps_the_quantity(
    features: FeatureSet, measured: Measurement, tmp_path: Path
) -> None:
    assert features.labels_test is not None
    assert float(measured.constant_correct.double().mean()) == pytest.approx(float(features.labels_test.double().mean()), abs=1e-7)
    assert float(features.labels_test.double().mean()) == pytest.approx(np.mean(PREVALENCES), abs=0.01)
    measured.save(tmp_path / "measurement.safetensors")
    assert Measurement.load(tmp_path / "measurement.safetensors").quantity == "mean_average_precision"


def test_the_report_names_the_quantity_and_divides_by_that_of_the_representation(report: IISReport, features: FeatureSet) -> None:
    assert report.quantity == "mean_average_precision"
    assert report.configuration["task"] == "multi_label"
    assert report.notes[0].startswith("The data are multi-label: the heads are one-vs-rest")
    assert (report.balanced, report.panel) == (None, None)
    for point in report.points:
        assert point.arr == pytest.approx(point.accuracy / report.accuracy_representation, rel=1e-9)
        assert point.accuracy_low <= point.accuracy <= point.accuracy_high
    assert report.points[-1].accuracy == pytest.approx(report.chance)
    assert report.iis is not None
    assert report.iis_low is not None
    assert report.iis_high is not None
    assert 0.4 < report.iis_low < report.iis < report.iis_high < 1
    assert set(report.controls) == {"isotropic", "matched"}
    assert report.controls["matched"].few_gain is not None
    assert "mean average precision" in report.verdict["sentence"] or report.verdict["code"] == "too_few_images"
    json.dumps(report.to_dict(), allow_nan=False)


def test_the_order_of_the_rows_has_no_effect(measured: Measurement, features: FeatureSet) -> None:
    assert features.labels_train is not None
    assert features.labels_test is not None
    train, test = (torch.randperm(len(y), generator=torch.Generator().manual_seed(1)) for y in (features.y_train, features.y_test))
    rows: dict[str, Any] = {f"{name}_train": getattr(features, f"{name}_train")[train] for name in ("X", "y", "labels")}
    rows |= {f"{name}_test": getattr(features, f"{name}_test")[test] for name in ("X", "y", "labels")}
    shuffled = measure_exact(replace(features, **rows), build_libraries(features, SPEC).libraries[:2], 0, CPU)
    for name in ("correct", "baseline_correct", "heads", "strengths"):
        assert torch.equal(getattr(shuffled, name), getattr(measured, name))


def test_labels_that_do_not_depend_on_the_features_have_no_iis() -> None:
    found = score_features(multi_label_features(informative=False), SPEC)
    assert found.iis is None
    assert found.verdict["code"] == "too_close_to_chance"
    assert any("mean average precision" in warning and "no better than chance" in warning for warning in found.warnings)


def test_labels_with_few_test_images_are_named_in_a_warning(report: IISReport) -> None:
    (warning,) = [each for each in report.warnings if "test images" in each]
    assert warning.startswith("1 label has fewer than 20 test images (bird). Its average precision is higher")


@pytest.mark.parametrize("prevalences", [(0.5, 0.4, 0.3), (0.1, 0.05)])
def test_intervals_hold_the_expected_mean_average_precision(prevalences: tuple[float, ...]) -> None:
    found = measure_coverage(prevalences, image_count=200, test_sets=100)
    assert min(found.shares.values()) > 0.88
    assert max(found.shares.values()) < 1


def test_the_rarest_label_of_a_row_stratifies_the_canonical_order(features: FeatureSet) -> None:
    ordered = in_canonical_order(features)
    assert ordered.labels_train is not None
    assert ordered.y_train.tolist() == sorted(ordered.y_train.tolist())
    for label in range(len(NAMES)):
        assert bool((ordered.labels_train[ordered.y_train == label][:, label] == 1).all())


def test_a_stored_feature_set_keeps_its_label_matrices(features: FeatureSet, tmp_path: Path) -> None:
    assert features.labels_train is not None
    features.save(tmp_path / "features.safetensors")
    loaded = FeatureSet.load(tmp_path / "features.safetensors")
    assert loaded.class_names == NAMES
    assert loaded.labels_train is not None
    assert torch.equal(loaded.labels_train, features.labels_train)
    assert torch.equal(loaded.y_train, features.y_train)


@pytest.mark.parametrize("kind", ["cluster", "end2end", "random"])
def test_other_libraries_are_scored_alike(kind: Any, features: FeatureSet) -> None:
    found = measure_exact(features, build_libraries(features, ScoreSpec(LibrarySpec(kind, 4))).libraries[:1], 0, CPU)
    assert found.quantity == "mean_average_precision"
    assert float(found.correct[0, 0].double().mean()) > float(found.constant_correct.double().mean())


def test_the_reference_protocol_refuses_multi_label_data(features: FeatureSet) -> None:
    with pytest.raises(SettingError, match="The reference protocol needs one class per image, and these data are multi-label") as refused:
        score_features(features, ScoreSpec(LibrarySpec("prototype", 6), protocol="reference"))
    assert refused.value.code == "multi_label"
