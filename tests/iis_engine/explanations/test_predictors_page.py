"""The programs on the documentation page about predictors run unchanged and give the documented numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from iis_engine.libraries.library import ConceptLibrary, training_moments
from iis_engine.scoring.predictor import Predictor
from support.scored import Scored

PAGE = Path(__file__).parents[3] / "docs" / "predictors.md"
NAMES = ("stripes", "dots", "fur", "a tail")


def program(word: str) -> str:
    """The one program on the page that has the word."""
    (found,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL) if word in block)
    return found


def run(word: str, names: dict[str, Any]) -> dict[str, Any]:
    exec(program(word), names)  # noqa: S102 (it is the page that is tested)
    return names


@pytest.fixture
def in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def with_text(digits: Scored) -> Predictor:
    """Prototypes and text concepts side by side under the first edition, of which eleven are kept."""
    visual, X = replace(digits.family.library, centre=None, means=None, deviations=None), digits.features.X_train
    vectors = torch.nn.functional.normalize(torch.randn(4, X.shape[1], generator=torch.Generator().manual_seed(0)), dim=1)
    unset = torch.full((len(visual),), torch.nan, dtype=torch.float64)
    means, deviations = (torch.cat([unset, values]) for values in training_moments(X, vectors))
    library = ConceptLibrary("combined", torch.cat([visual.vectors, vectors]), (*visual.origins, *("text",) * 4), (), means, deviations)
    head = torch.randn(len(library) + 1, 10, generator=torch.Generator().manual_seed(1))
    return Predictor(library, 11, head, digits.features.class_names, (*(None,) * len(visual), *NAMES))


def test_the_example_of_loading_and_predicting_runs(in_the_folder: Path, digits: Scored) -> None:
    predictor = digits.family.at(10)
    predictor.save(in_the_folder / "predictor.safetensors")
    found = run("Predictor.load", {"X": digits.features.X_test})
    assert found["labels"].tolist() == predictor.predict(digits.features.X_test).tolist()
    assert found["names"][:3] == [str(label) for label in found["labels"][:3].tolist()]


@pytest.mark.parametrize("of", ["visual", "combined"])
def test_plain_numpy_gives_the_same_logits(of: str, in_the_folder: Path, digits: Scored) -> None:
    predictor = digits.family.at(10) if of == "visual" else with_text(digits)
    predictor.save(in_the_folder / "predictor.safetensors")
    X = digits.features.X_test
    found = run("put_along_axis", {"X": X.numpy()})
    assert np.abs(found["z"] - predictor.activations(X).numpy()).max() < 1e-6
    assert np.abs(found["logits"] - predictor.logits(predictor.activations(X)).numpy()).max() < 1e-5


def test_the_onnxruntime_example_equals_the_predictor(in_the_folder: Path, digits: Scored, capsys: pytest.CaptureFixture[str]) -> None:
    predictor, X = digits.family.at(10), digits.features.X_test
    names = run("export_onnx(", {"predictor": predictor, "Path": Path})
    assert (in_the_folder / "predictor.onnx").is_file()
    found = run("InferenceSession", names | {"X": X, "np": np, "json": __import__("json")})
    assert np.array_equal(found["label"], predictor.predict(X).numpy())
    assert np.abs(found["probabilities"] - predictor.predict_proba(X).numpy()).max() < 1e-6
    assert capsys.readouterr().out.split()[0] == predictor.class_names[int(found["label"][0])]


def test_the_example_of_fitting_runs(in_the_folder: Path, digits: Scored) -> None:
    features = digits.features
    assert features.elements is not None
    arrays = {name: getattr(features, name)[::3].numpy() for name in ("X_train", "y_train", "X_test", "y_test")}
    np.savez(in_the_folder / "features.npz", **arrays, concepts=features.elements.numpy()[:60])
    run("fit_predictor(", {})
    predictor = Predictor.load(in_the_folder / "predictor.safetensors")
    assert (predictor.kept, len(predictor.library), predictor.class_names) == (10, 30, features.class_names)
    accuracy = float((predictor.predict(features.X_test) == features.y_test).double().mean())
    assert accuracy > 0.5
