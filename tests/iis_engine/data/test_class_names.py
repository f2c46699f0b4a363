"""Class names and warnings are bounded in number and length."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from iis_engine.data.class_names import MAX_CHARACTERS, MAX_CLASSES, MAX_WARNING_CHARACTERS, MAX_WARNINGS, require_bounded_names
from iis_engine.errors import DataError
from iis_engine.features.feature_set import read_features


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["a"] * (MAX_CLASSES + 1), "50001 classes; at most 50000"),
        (["a" * 256, "b"], "has 256 characters; shorten it to at most 255"),
        (["a" * 250] * (MAX_CHARACTERS // 250 + 1), "together; shorten them to at most 1048576"),
    ],
)
def test_names_beyond_a_bound_are_refused_with_the_bound(names: list[str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        require_bounded_names(names)


def test_names_of_imagenet_21k_fit() -> None:
    require_bounded_names([f"n{number:08d} a name of a synset" for number in range(21_841)])


def features(path: Path, **header: object) -> Path:
    labels = torch.tensor([0, 1, 0, 1])
    matrix = torch.eye(4)
    tensors = {"X_train": matrix, "y_train": labels, "X_test": matrix.clone(), "y_test": labels.clone()}
    save_file(tensors, path, metadata={"iis": json.dumps(header)})
    return path


def test_a_long_class_name_in_a_features_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has 60000 characters"):
        read_features(features(tmp_path / "a.safetensors", class_names=["a" * 60_000, "b"]))


def test_warnings_of_a_features_file_are_shortened_and_counted(tmp_path: Path) -> None:
    warnings = read_features(features(tmp_path / "a.safetensors", warnings=["w" * 5000] * 1000)).warnings
    assert len(warnings) == MAX_WARNINGS
    assert {len(text) for text in warnings[:-1]} == {MAX_WARNING_CHARACTERS}
    assert warnings[-1] == "901 more warnings were left out."


def test_folders_of_too_many_characters_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from iis_engine.data import class_names
    from iis_engine.data.datasets import read_image_folder

    monkeypatch.setattr(class_names, "MAX_CLASSES", 2)
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "1.png")
    with pytest.raises(DataError, match="3 classes; at most 2"):
        read_image_folder(tmp_path)
