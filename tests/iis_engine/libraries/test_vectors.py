"""Own concept vectors: read from the formats people save them in, scored as they are, or refused with the reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from iis_engine.errors import DataError, LibraryError
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.vectors import OwnVectors, build_vectors, read_vectors
from iis_engine.scoring.score import build_libraries, score
from iis_engine.specs import LibrarySpec, ScoreSpec
from support.feature_sets import random_features

VECTORS = torch.tensor([[3.0, 0.0, 0.0], [0.0, -2.0, 0.0], [1.0, 1.0, 0.0]])
OWN = ScoreSpec(LibrarySpec("vectors"))


def features(dimension: int = 3, elements: bool = True) -> FeatureSet:
    drawn = random_features(dimension)
    return drawn if elements else replace(drawn, elements=None)


@pytest.mark.parametrize("suffix", ["npy", "npz", "pt", "safetensors"])
def test_vectors_are_read_from_every_format(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, VECTORS.numpy())
    elif suffix == "npz":
        np.savez(path, vectors=VECTORS.numpy())
    elif suffix == "pt":
        torch.save({"W_dec": VECTORS, "bias": torch.zeros(3)}, path)
    else:
        save_file({"decoder": VECTORS.bfloat16()}, path)
    assert (read_vectors(path).vectors == VECTORS).all()


def test_names_are_read_from_arrays_and_metadata(tmp_path: Path) -> None:
    names = ("fur", "wing", "café")
    np.savez(tmp_path / "a.npz", vectors=VECTORS.numpy(), names=np.array(names))
    save_file({"vectors": VECTORS}, tmp_path / "a.safetensors", metadata={"iis": json.dumps({"names": names})})
    assert read_vectors(tmp_path / "a.npz").names == names
    assert read_vectors(tmp_path / "a.safetensors").names == names


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.eye(3), "b": np.eye(3)}, "one matrix of concept vectors, or one named vectors; it contains a, b"),
        ({"vectors": np.zeros(3)}, r"must be a matrix of real numbers.*\(3,\)"),
        ({"vectors": np.eye(1)}, "has 1 concept vectors; send 2 to 20,000"),
        ({"vectors": np.array([[1.0, np.nan], [0.0, 1.0]])}, "NaN or infinite"),
        ({"vectors": np.array([[1.0, 0.0], [0.0, 0.0]])}, "1 vectors in .* are zero and have no direction: rows 1"),
        ({"vectors": np.eye(2), "names": np.array(["a"])}, "has 1 names for 2 concept vectors"),
        ({"vectors": np.eye(2), "names": np.array(["a", "\x1b[2J"])}, "must be printable text"),
    ],
)
def test_a_file_that_is_no_set_of_vectors_is_refused(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message):
        read_vectors(tmp_path / "a.npz")


ELEMENTS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 5.0], [0.0, -1.0, 0.1]])


def test_concepts_are_the_unit_vectors_with_their_names_and_nearest_elements(tmp_path: Path) -> None:
    drawn = replace(features(), elements=torch.cat([ELEMENTS, -ELEMENTS]))  # of mean zero
    library = build_vectors(drawn, OwnVectors(VECTORS, ("a", "b", "c")))
    assert library.vectors.tolist() == [[1, 0, 0], [0, -1, 0], pytest.approx([0.5**0.5, 0.5**0.5, 0])]
    assert [row[0] for row in library.exemplars[:2]] == [(0, 1.0), (2, pytest.approx(0.995, abs=1e-3))]
    library.save(tmp_path / "library.safetensors")
    assert ConceptLibrary.load(tmp_path / "library.safetensors").labels == ("a", "b", "c")


def test_vectors_need_no_elements() -> None:
    assert build_vectors(features(elements=False), OwnVectors(VECTORS)).exemplars == ((), (), ())


def test_vectors_of_another_width_are_refused_and_transposed_ones_are_recognised() -> None:
    with pytest.raises(LibraryError, match=r"have 3 dimensions, but the representation has 5\.$"):
        build_vectors(features(5), OwnVectors(VECTORS))
    with pytest.raises(LibraryError, match="They have its width if transposed"):
        build_vectors(features(3), OwnVectors(torch.eye(3, 7)))


def test_the_scale_of_vectors_does_not_change_the_score() -> None:
    one, other = (score(features(), OWN, own_vectors=OwnVectors(VECTORS * scale)) for scale in (1.0, 7.0))
    assert one.iis == other.iis
    assert one.library["kind"] == "vectors"
    assert one.library["concept_count"] == 3


def test_own_vectors_are_one_library_under_every_protocol() -> None:
    assert len(build_libraries(features(), OWN, own_vectors=OwnVectors(VECTORS)).libraries) == 1
    with pytest.raises(LibraryError, match="needs a file"):
        build_libraries(features(), OWN)
