"""Explanations of multi-label data: each label by its own head, uncentred, against its absence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from iis_engine.errors import SettingError
from iis_engine.explanations.explain_labels import explain_labels
from iis_engine.explanations.onnx_export import export_onnx
from iis_engine.explanations.test_set import TestSet, class_accuracies, class_profile
from iis_engine.heads.average_precision import average_precisions
from iis_engine.scoring.predictor import Predictor, PredictorFamily
from support.multi_label import NAMES, multi_label_features
from support.scored import Scored


@pytest.fixture(scope="module")
def scored() -> Scored:
    return Scored.of(multi_label_features(), 6)


@pytest.fixture(scope="module")
def tested(scored: Scored) -> TestSet:
    return TestSet.of(scored.features, scored.family)


def test_contributions_and_bias_add_up_to_the_logit_of_each_label(scored: Scored, tested: TestSet) -> None:
    predictor = scored.family.at(3)
    for row in range(20):
        found = explain_labels(predictor, tested.activations[row])
        sparse = predictor.activations(scored.features.X_test[row : row + 1])[0].double()
        logits = sparse @ predictor.head[:-1].double() + predictor.head[-1].double()
        assert [one.label for one in found] == torch.argsort(logits, descending=True).tolist()
        for one in found:
            assert float(one.contributions.sum()) + one.bias == pytest.approx(float(logits[one.label]), abs=1e-12)
            assert one.probability == pytest.approx(float(logits[one.label].sigmoid()), abs=1e-12)
            assert one.contributions[sparse == 0].tolist() == [0.0] * int((sparse == 0).sum())
            assert one.prediction.label == found[0].label


def test_faithfulness_starts_at_the_probability_and_ends_at_that_of_the_bias(scored: Scored, tested: TestSet) -> None:
    for one in explain_labels(scored.family.at(3), tested.activations[0]):
        curves, of_bias = one.faithfulness, 1 / (1 + np.exp(-one.bias))
        assert (curves.deletion[0], curves.deletion[-1]) == pytest.approx((one.probability, of_bias))
        assert (curves.sufficiency[0], curves.sufficiency[-1]) == pytest.approx((of_bias, one.probability))


def test_a_counterfactual_takes_the_label_to_the_other_side_of_one_half(scored: Scored, tested: TestSet) -> None:
    found = 0
    for row in range(40):
        for one in explain_labels(scored.family.at(3), tested.activations[row]):
            counterfactual = one.counterfactual
            if counterfactual is None:
                continue
            found += 1
            left = one.logit - float(one.contributions[list(counterfactual.removed)].sum())
            assert (left >= 0) != (one.logit >= 0)
            assert one.binary.class_names[counterfactual.label] == (NAMES[one.label] if left >= 0 else f"not {NAMES[one.label]}")
            assert counterfactual.probability == pytest.approx(1 / (1 + np.exp(-abs(left))))
    assert found > 20


def test_a_contrast_is_refused(scored: Scored, tested: TestSet) -> None:
    with pytest.raises(SettingError, match="A contrast needs one class per image") as refused:
        explain_labels(scored.family.at(3), tested.activations[0], contrast=1)
    assert (refused.value.code, refused.value.param) == ("multi_label", "contrast")


def test_files_keep_that_the_heads_are_one_vs_rest(scored: Scored, tested: TestSet, tmp_path: Path) -> None:
    X = scored.features.X_test
    scored.family.save(tmp_path / "family.safetensors")
    scored.family.at(3).save(tmp_path / "predictor.safetensors")
    loaded = Predictor.load(tmp_path / "predictor.safetensors")
    expected = scored.family.at(3).predict_proba(X)
    for predictor in (PredictorFamily.load(tmp_path / "family.safetensors").at(3), loaded):
        assert torch.equal(predictor.predict_proba(X), expected)
    assert float((expected.sum(dim=1) - 1).abs().max()) > 0.1
    tested.save(tmp_path / "tested.safetensors")
    again = TestSet.load(tmp_path / "tested.safetensors")
    assert again.labels_of(3) == scored.features.labels_test[3].nonzero().flatten().tolist()  # pyright: ignore[reportOptionalSubscript]


def test_the_onnx_graph_has_the_probabilities_of_each_label(scored: Scored, tmp_path: Path) -> None:
    predictor = scored.family.at(3)
    export_onnx(predictor, tmp_path / "predictor.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "predictor.onnx")
    assert session.get_modelmeta().custom_metadata_map["format"] == "iis-predictor-onnx/3"
    (found,) = session.run(["probabilities"], {"features": scored.features.X_test.numpy()})
    assert np.allclose(np.asarray(found), predictor.predict_proba(scored.features.X_test).numpy(), atol=1e-9)


def test_labels_have_average_precisions_in_the_place_of_accuracies(scored: Scored, tested: TestSet) -> None:
    labels, predictor = scored.features.labels_test, scored.family.at(3)
    assert labels is not None
    outcomes = tested.outcomes(predictor)
    found = class_accuracies(tested, outcomes, predictor)
    logits = predictor.logits(predictor.activations(scored.features.X_test))
    assert [images for images, _, _ in found] == labels.sum(dim=0, dtype=torch.int64).tolist()
    assert [accuracy for _, _, accuracy in found] == pytest.approx(average_precisions(logits, labels).tolist())
    of_h = average_precisions(scored.family.baseline_logits(scored.features.X_test), labels)
    assert [accuracy for _, accuracy, _ in found] == pytest.approx(of_h.tolist())
    assert float(of_h.mean()) == pytest.approx(float(scored.measured.baseline_correct.double().mean()), abs=1e-3)
    profile = class_profile(tested, outcomes, predictor, 0)
    assert (profile.images, profile.accuracy, profile.confused_with) == (found[0][0], found[0][2], ())
    assert torch.equal(profile.weights, predictor.head[:-1, 0].double())


def test_a_label_without_a_test_image_has_no_average_precision(scored: Scored, tested: TestSet) -> None:
    features, predictor = scored.features, scored.family.at(3)
    assert features.labels_test is not None
    labels = features.labels_test.clone()
    labels[:, 2] = 0
    without = TestSet.of(replace(features, labels_test=labels), scored.family)
    outcomes = without.outcomes(predictor)
    expected = class_accuracies(tested, tested.outcomes(predictor), predictor)[:2]
    assert class_accuracies(without, outcomes, predictor) == [*expected, (0, None, None)]
    profile = class_profile(without, outcomes, predictor, 2)
    assert (profile.images, profile.baseline_accuracy, profile.accuracy) == (0, None, None)
