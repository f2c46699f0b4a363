"""ONNX export of a predictor: the graph gives the same labels, probabilities and activations, ties and constant rows included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.explanations.onnx_export import export_onnx
from iis_engine.libraries.library import ConceptLibrary, training_moments
from iis_engine.scoring.predictor import Predictor
from support.scored import Scored

CONCEPTS, WIDTH, CLASSES = 12, 7, 4
CLASS_NAMES = ("a", "b", "c", 'd "é"')


def representations() -> Tensor:
    """Rows at random, one of them zero, so that all its activations tie."""
    X = torch.randn(60, WIDTH, generator=torch.Generator().manual_seed(3))
    X[7] = 0
    return X


def visual() -> ConceptLibrary:
    """Some concepts coincide, so that activations tie within every row."""
    vectors = normalize(torch.randn(CONCEPTS, WIDTH, generator=torch.Generator().manual_seed(4)), dim=1)
    vectors[5], vectors[9], vectors[11] = vectors[2], vectors[2], vectors[0]
    return ConceptLibrary("prototype", vectors, ("prototype",) * CONCEPTS, ())


def text() -> ConceptLibrary:
    """Standardised one by one; the concept of no variance is never active."""
    vectors = visual().vectors
    means, deviations = training_moments(representations(), vectors)
    deviations[10] = 0
    return ConceptLibrary("text", vectors, ("text",) * CONCEPTS, (), means, deviations)


def combined() -> ConceptLibrary:
    """Seven of the one kind, and five of the other."""
    words = text()
    assert words.means is not None
    assert words.deviations is not None
    nothing = torch.full((7,), torch.nan, dtype=torch.float64)
    means, deviations = (torch.cat([nothing, values[7:]]) for values in (words.means, words.deviations))
    return ConceptLibrary("combined", words.vectors, ("cluster",) * 7 + ("text",) * 5, (), means, deviations)


def one_concept_twice() -> ConceptLibrary:
    """Its rows are constant but for rounding, so nothing is active."""
    vectors = visual().vectors[:1].expand(CONCEPTS, -1).contiguous()
    return ConceptLibrary("prototype", vectors, ("prototype",) * CONCEPTS, ())


LIBRARIES = {"visual": visual, "text": text, "combined": combined, "constant": one_concept_twice}


def exported(predictor: Predictor, path: Path) -> onnxruntime.InferenceSession:
    export_onnx(predictor, path)
    onnx.checker.check_model(str(path), full_check=True)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def require_same(predictor: Predictor, session: onnxruntime.InferenceSession, X: Tensor) -> None:
    given: Any = session.run(["logits", "probabilities", "label", "activations"], {"features": X.numpy()})
    logits, probabilities, label, activations = given
    expected = predictor.activations(X)
    assert np.array_equal(label, predictor.predict(X).numpy())
    assert np.abs(probabilities - predictor.predict_proba(X).numpy()).max() < 1e-6
    assert np.abs(logits - predictor.logits(expected).numpy()).max() < 1e-5
    assert np.array_equal(activations != 0, expected.numpy() != 0)
    assert np.abs(activations - expected.numpy()).max() < 1e-6


@pytest.mark.parametrize("kept", [1, 4, CONCEPTS - 1, CONCEPTS])
@pytest.mark.parametrize("library", LIBRARIES)
def test_labels_probabilities_and_activations_equal_those_of_the_predictor(library: str, kept: int, tmp_path: Path) -> None:
    head = torch.randn(CONCEPTS + 1, CLASSES, generator=torch.Generator().manual_seed(kept))
    predictor = Predictor(LIBRARIES[library](), kept, head, CLASS_NAMES, (None,) * CONCEPTS)
    session, X = exported(predictor, tmp_path / "p.onnx"), representations()
    if library == "constant":
        assert not predictor.activations(X).any()
    else:
        assert int((predictor.activations(X[:1]) != 0).sum()) == kept - (library != "visual" and kept == CONCEPTS)
    for rows in (X, X[:1], X[7:8], X[20:23]):
        require_same(predictor, session, rows)


def test_every_exported_node_of_a_real_curve_equals_its_predictor(digits: Scored, tmp_path: Path) -> None:
    for kept in digits.family.nodes:
        predictor = digits.family.at(kept)
        require_same(predictor, exported(predictor, tmp_path / "p.onnx"), digits.features.X_test)


def test_the_graph_metadata_has_classes_concepts_and_kept_count(tmp_path: Path) -> None:
    names = ("stripes", None, *(f"phrase {number}" for number in range(10)))
    session = exported(Predictor(text(), 4, torch.zeros(CONCEPTS + 1, CLASSES), CLASS_NAMES, names), tmp_path / "p.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    assert (metadata["format"], metadata["kept"]) == ("iis-predictor-onnx/2", "4")
    assert tuple(json.loads(metadata["class_names"])) == CLASS_NAMES
    assert tuple(json.loads(metadata["concept_names"])) == names
    assert [(one.name, one.shape, one.type) for one in session.get_inputs()] == [("features", ["n", WIDTH], "tensor(float)")]
    assert [(one.name, one.shape, one.type) for one in session.get_outputs()] == [
        ("logits", ["n", CLASSES], "tensor(double)"),
        ("probabilities", ["n", CLASSES], "tensor(double)"),
        ("label", ["n"], "tensor(int64)"),
        ("activations", ["n", CONCEPTS], "tensor(float)"),
    ]
