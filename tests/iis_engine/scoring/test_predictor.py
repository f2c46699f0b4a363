"""A predictor has the accuracy of its node on the curve, survives its file bit for bit, and refuses what it cannot read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from iis_engine.errors import DataError, SettingError
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.nodes import sparsity_of
from iis_engine.protocols import exact_nodes
from iis_engine.scoring.ensemble import build_libraries
from iis_engine.scoring.measure import measure_library
from iis_engine.scoring.predictor import FORMAT, Predictor, PredictorFamily
from iis_engine.scoring.score import fit_predictor
from iis_engine.specs import LibrarySpec, ScoreSpec
from support.scored import Scored


def small_predictor(kept: int = 2) -> Predictor:
    """Four axes of R^4 as concepts; concept j has a weight for class j, the fourth for none."""
    library = ConceptLibrary("random", torch.eye(4), ("random",) * 4, ())
    head = torch.tensor([[3.0, 0, 0], [0, 3, 0], [0, 0, 3], [1, 1, 1], [0.5, 0, -0.5]])
    return Predictor(library, kept, head, ("a", "b", "c"), ("stripes", None, "dots", None))


def mixed_library() -> ConceptLibrary:
    """Three concepts normalised together, and three standardised one by one."""
    vectors = torch.nn.functional.normalize(torch.randn(6, 5, generator=torch.Generator().manual_seed(1)), dim=1)
    means = torch.tensor([torch.nan] * 3 + [0.1, -0.2, 0.3], dtype=torch.float64)
    return ConceptLibrary("combined", vectors, ("prototype",) * 3 + ("text",) * 3, (), means, means.abs() + 0.5)


def family_of(concept_count: int, nodes: tuple[int, ...]) -> PredictorFamily:
    library = ConceptLibrary("random", torch.eye(concept_count), ("random",) * concept_count, ())
    heads = torch.arange(len(nodes)).float().view(-1, 1, 1).expand(-1, concept_count + 1, 2)
    return PredictorFamily(library, nodes, heads.contiguous(), torch.zeros(concept_count + 1, 2, dtype=torch.float64), ("a", "b"))


def test_activations_of_a_row_are_standardised_and_all_but_the_strongest_are_zero() -> None:
    predictor = small_predictor()
    X = torch.tensor([[0.0, 0, 2, 6], [1, 1, 1, 1]])  # mean 2, deviation sqrt(6): -0.82, -0.82, 0, 1.63; and a constant row
    strong, weak = 4 / 6**0.5, -2 / 6**0.5
    expected = torch.tensor([[weak, 0, 0, strong], [0, 0, 0, 0]])  # of the two equal magnitudes the lower index
    assert torch.allclose(predictor.activations(X), expected)
    logits = predictor.logits(predictor.activations(X))
    assert torch.allclose(logits[0], torch.tensor([2 * weak + 0.5, -weak, -weak - 0.5], dtype=torch.float64))
    assert predictor.predict(X).tolist() == [1, 0]
    assert torch.allclose(predictor.predict_proba(X)[1], torch.tensor([0.5, 0, -0.5], dtype=torch.float64).softmax(dim=0))


def test_centring_the_head_leaves_probabilities_unchanged(digits: Scored) -> None:
    predictor = digits.family.at(digits.family.nodes[3])
    plain = predictor.activations(digits.features.X_test).double() @ predictor.head[:-1].double() + predictor.head[-1].double()
    assert float(plain.mean(dim=1).abs().max()) > 1e-9
    assert torch.allclose(predictor.predict_proba(digits.features.X_test), plain.softmax(dim=1), atol=1e-12)
    assert float(predictor.weights.sum(dim=1).abs().max()) < 1e-12
    assert float(predictor.bias.sum().abs()) < 1e-12


def test_every_node_has_the_accuracy_of_the_curve_and_h_that_of_the_baseline(digits: Scored) -> None:
    features, measured, family = digits.features, digits.measured, digits.family
    assert set(exact_nodes(len(family.library))) <= set(family.nodes)
    one_image = 1 / len(features.y_test) + 1e-6  # two classes may be as likely as float32 can tell
    for place, kept in enumerate(family.nodes):
        accuracy = float((family.at(kept).predict(features.X_test) == features.y_test).double().mean())
        assert accuracy == pytest.approx(float(measured.correct[0, place].mean()), abs=one_image)
    baseline = float((family.baseline_logits(features.X_test).argmax(dim=1) == features.y_test).double().mean())
    assert baseline == pytest.approx(float(measured.baseline_correct.mean()), abs=one_image)


@pytest.mark.parametrize("kept", [1, 4, 6])
def test_a_predictor_read_back_gives_the_same_numbers_bit_for_bit(kept: int, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(kept)
    names = ("stripes", None, "été", 'a"quote', None, None)
    saved = Predictor(mixed_library(), kept, torch.randn(7, 3, generator=generator), ("x", "y", "naïve z"), names)
    saved.save(tmp_path / "p.safetensors")
    read = Predictor.load(tmp_path / "p.safetensors")
    X = torch.randn(40, 5, generator=generator)
    assert torch.equal(read.activations(X), saved.activations(X))
    assert torch.equal(read.predict_proba(X), saved.predict_proba(X))
    assert (read.kept, read.class_names, read.concept_names) == (kept, saved.class_names, names)
    assert read.library.origins == saved.library.origins


def test_a_family_read_back_gives_the_same_numbers_bit_for_bit(digits: Scored, tmp_path: Path) -> None:
    digits.family.save(tmp_path / "family.safetensors")
    read, X = PredictorFamily.load(tmp_path / "family.safetensors"), digits.features.X_test
    assert read.nodes == digits.family.nodes
    assert torch.equal(read.baseline_logits(X), digits.family.baseline_logits(X))
    for kept in read.nodes:
        assert torch.equal(read.at(kept).predict_proba(X), digits.family.at(kept).predict_proba(X))


def test_files_that_are_not_predictors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    with pytest.raises(DataError, match=r"other.safetensors is not a readable safetensors file; .*\.$"):
        Predictor.load(path)
    path.write_bytes(b"PK\x03\x04 no tensors")
    with pytest.raises(DataError, match="not a readable safetensors file"):
        Predictor.load(path)
    for metadata in (None, {"iis": "{}"}, {"iis": "[1]"}, {"iis": json.dumps({"format": "iis-predictor/9"})}):
        save_file({"vectors": torch.eye(2)}, path, metadata=metadata)
        with pytest.raises(DataError, match=r"not a predictor of format iis-predictor/2; .*\.$"):
            Predictor.load(path)
    save_file({"vectors": torch.eye(2)}, path, metadata={"iis": "no JSON"})
    with pytest.raises(DataError, match="not a readable safetensors file"):
        Predictor.load(path)


Damage = Callable[[dict[str, torch.Tensor], dict[str, Any]], object]


DAMAGES: list[Damage] = [
    lambda tensors, _: tensors.pop("bias"),
    lambda tensors, _: tensors.update(weights=tensors["weights"][:3].clone()),
    lambda tensors, _: tensors.update(vectors=torch.zeros(4)),
    lambda tensors, _: tensors.update(means=torch.zeros(4)),
    lambda _, header: header.pop("origins"),
    lambda _, header: header.update(origins=[]),
    lambda _, header: header.update(kept=5),
    lambda _, header: header.update(kept="2"),
    lambda _, header: header.update(class_names=["a", "b"]),
    lambda _, header: header.update(concept_names=None),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_predictor_file_with_mismatched_parts_is_refused(damage: Damage, tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    small_predictor().save(path)
    tensors = load_file(path)
    header = {"format": FORMAT, "kept": 2, "origins": ["random"] * 4, "class_names": list("abc"), "concept_names": [None] * 4}
    save_file(tensors, path, metadata={"iis": json.dumps(header)})
    assert Predictor.load(path).kept == 2
    damage(tensors, header)
    save_file(tensors, path, metadata={"iis": json.dumps(header)})
    with pytest.raises(DataError, match=r"p.safetensors is damaged: .*\.$"):
        Predictor.load(path)


def test_representations_of_another_width_are_refused_with_both_shapes() -> None:
    with pytest.raises(DataError, match=r"must be \(n, 4\); it is \(2, 5\)\.$"):
        small_predictor().predict(torch.zeros(2, 5))
    with pytest.raises(DataError, match=r"it is \(4,\)"):
        small_predictor().predict(torch.zeros(4))


def test_a_node_is_found_by_the_sparsity_that_the_report_writes() -> None:
    family = family_of(30, (30, 27, 20, 10, 3, 1))
    assert [family.at(sparsity=s).kept for s in (0, 0.1, 1 / 3, 0.3333333333, 0.9)] == [30, 27, 20, 20, 3]
    assert [family.at(sparsity=sparsity_of(kept, 30)).kept for kept in family.nodes] == list(family.nodes)
    assert family_of(90, (90, 5, 4)).at(sparsity=0.95).kept == 5  # the paper's .95 keeps 90 - floor(85.5)
    assert family.at(20).sparsity == pytest.approx(1 / 3)


def test_each_node_has_the_head_that_was_fitted_for_it() -> None:
    family = family_of(30, (30, 27, 20))
    assert [float(family.at(kept).head[0, 0]) for kept in (27, 20, 30)] == [1, 2, 0]


@pytest.mark.parametrize(
    ("concept_count", "nodes", "expected"),
    [(200, (200, 100, 20, 10, 5), 20), (200, (200, 22, 18, 1), 18), (30, (30, 10, 5, 3), 5), (4, (4, 2, 1), 4)],
)
def test_by_default_a_tenth_of_the_concepts_is_kept_and_at_least_five(concept_count: int, nodes: tuple[int, ...], expected: int) -> None:
    assert family_of(concept_count, nodes).at().kept == expected


def test_a_node_that_is_not_on_the_curve_is_refused_with_the_nodes_of_the_curve() -> None:
    family = family_of(30, (30, 20, 1))
    with pytest.raises(SettingError, match=r"no node at kept = 7; it keeps 30, 20, 1 of 30 concepts\.$") as caught:
        family.at(7)
    assert (caught.value.code, caught.value.param) == ("sparsity_unknown", "kept")
    with pytest.raises(SettingError, match=r"sparsity = 0.5, which keeps 15; it keeps 30, 20, 1") as caught:
        family.at(sparsity=0.5)
    assert (caught.value.code, caught.value.param) == ("sparsity_unknown", "sparsity")
    for outside in (-0.1, 1.1, float("nan")):
        with pytest.raises(SettingError, match=r"lies between 0 and 1"):
            family.at(sparsity=outside)


def test_fitting_gives_the_classifier_whose_accuracy_was_measured(digits: Scored) -> None:
    few = {name: getattr(digits.features, name)[::6] for name in ("X_train", "y_train", "X_test", "y_test")}
    features, spec = replace(digits.features, **few), ScoreSpec(LibrarySpec("random", 6))
    measured = measure_library(features, build_libraries(features, spec, device="cpu"), spec, device="cpu")
    predictor = fit_predictor(features, spec, kept=4, device="cpu")
    accuracy = float((predictor.predict(features.X_test) == features.y_test).double().mean())
    assert accuracy == pytest.approx(float(measured.correct[0, measured.kept.index(4)].mean()))  # of the first library seed
    assert (predictor.kept, predictor.concept_names, predictor.class_names) == (4, (None,) * 6, features.class_names)


def test_a_predictor_of_the_reference_protocol_is_refused(digits: Scored) -> None:
    with pytest.raises(SettingError, match="fit a predictor with protocol exact") as caught:
        fit_predictor(digits.features, ScoreSpec(protocol="reference"))
    assert caught.value.param == "protocol"
