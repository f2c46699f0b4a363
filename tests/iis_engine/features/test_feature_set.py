"""Features files: read as plain numbers, or refused with a DataError."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save, save_file

from iis_engine.errors import DataError
from iis_engine.features.feature_set import read_features

Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def arrays() -> Arrays:
    generator = np.random.default_rng(0)
    draw = {name: generator.normal(size=(rows, 3)).astype(np.float32) for name, rows in (("X_train", 8), ("X_test", 4), ("concepts", 5))}
    return {**draw, "y_train": np.arange(8) % 2, "y_test": np.arange(4) % 2}


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_features(path)
    assert str(caught.value).endswith(".")
    return str(caught.value)


def npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def save_npz(path: Path, arrays: Arrays) -> None:
    write: Any = np.savez  # its stub mixes the arrays up with allow_pickle
    write(path, **arrays)


def write_members(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def write_header(path: Path, arrays: Arrays, header: object) -> Path:
    save_file(arrays, path, metadata={"iis": header if isinstance(header, str) else json.dumps(header)})
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_any_memory_layout_and_type_are_read(save: Any, arrays: Arrays, tmp_path: Path) -> None:
    other = {**arrays, "X_train": np.asfortranarray(arrays["X_train"].astype(">f8")), "y_train": arrays["y_train"].astype(np.uint8) + 3}
    save(tmp_path / "features.npz", **{**other, "y_test": arrays["y_test"] + 3})
    features = read_features(tmp_path / "features.npz")
    assert np.array_equal(features.X_train.numpy(), arrays["X_train"])
    assert features.y_train.tolist() == arrays["y_train"].tolist()
    assert features.class_names == ("3", "4")
    assert features.elements is not None
    assert np.array_equal(features.elements.numpy(), arrays["concepts"])


def test_other_arrays_are_not_read(arrays: Arrays, tmp_path: Path) -> None:
    members = {name: npy(array) for name, array in arrays.items()}
    write_members(tmp_path / "features.npz", {**members, "notes": b"no array", "elements": b"the other name of concepts"})
    assert read_features(tmp_path / "features.npz").class_count == 2


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_byte_in_an_npz_raises_only_data_errors(save: Any, arrays: Arrays, tmp_path: Path) -> None:
    save(tmp_path / "whole.npz", **arrays)
    content = (tmp_path / "whole.npz").read_bytes()
    generator, refused = np.random.default_rng(0), 0
    for _ in range(300):
        damaged = bytearray(content)
        damaged[generator.integers(len(content))] = generator.integers(256)
        (tmp_path / "damaged.npz").write_bytes(damaged)
        try:
            read_features(tmp_path / "damaged.npz")
        except DataError:
            refused += 1
    assert refused > 100


def test_a_header_that_claims_terabytes_is_refused(arrays: Arrays, tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**7, 10**6)})
    members = {name: npy(array) for name, array in arrays.items()}
    write_members(tmp_path / "features.npz", {**members, "X_train": header.getvalue() + bytes(100)})
    assert "X_train claims 40000000000000 bytes" in refusal(tmp_path / "features.npz")


@pytest.mark.parametrize(
    "content",
    [b"hello", b"", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4', \n", b"\x93NUMPY\x01\x00\x04\x00)(]\n", b"\x93NUMPY\x09\x00"],
)
def test_members_that_are_not_arrays_are_refused(content: bytes, arrays: Arrays, tmp_path: Path) -> None:
    members = {name: npy(array) for name, array in arrays.items()}
    write_members(tmp_path / "features.npz", {**members, "X_test": content})
    assert "not a readable features file" in refusal(tmp_path / "features.npz")


def test_pickled_structured_and_string_arrays_are_refused(arrays: Arrays, tmp_path: Path) -> None:
    invalid: list[NDArray[Any]] = [
        *(np.array([[{}]]), np.array([["a"]]), np.zeros((2, 2), "f4,i4")),
        *(np.zeros((0, 3)), np.ones((2, 2), complex)),
    ]
    for array in invalid:
        save_npz(tmp_path / "features.npz", {**arrays, "X_train": array})
        refusal(tmp_path / "features.npz")


def test_a_missing_array_is_named_with_the_present_ones(arrays: Arrays, tmp_path: Path) -> None:
    del arrays["y_test"]
    save_npz(tmp_path / "features.npz", arrays)
    save_file(arrays, tmp_path / "features.safetensors")
    for name in ("features.npz", "features.safetensors"):
        assert "lacks y_test; it contains X_test, X_train, concepts, y_train." in refusal(tmp_path / name)


def test_class_names_and_references_in_the_metadata_are_kept(arrays: Arrays, tmp_path: Path) -> None:
    refs = [[image, [0, 1, 2, 3], "patch"] for image in range(5)]
    path = write_header(tmp_path / "f.safetensors", arrays, {"class_names": ["cat", "dog"], "element_refs": refs, "warnings": ["w"]})
    features = read_features(path)
    assert features.class_names == ("cat", "dog")
    assert (features.element_refs[4].image, features.element_refs[4].box) == (4, (0, 1, 2, 3))
    assert features.warnings == ("w",)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("[1]", "must be a JSON object"),
        ("{", "not a readable features file"),
        ("[" * 100_000, "not a readable features file"),
        ({"class_names": ["cat"]}, "lists 1 names, but there are 2 classes"),
        ({"class_names": ["cat", "dog", "eel"]}, "lists 3 names, but there are 2 classes"),
        ({"class_names": "ab"}, "must be a list of Unicode strings"),
        ({"class_names": [1, 2]}, "must be a list of Unicode strings"),
        ({"class_names": ["cat", "\ud800"]}, "must be a list of Unicode strings"),
        ({"class_names": ["cat", "\0"]}, "must be a list of Unicode strings"),
        ({"warnings": [None]}, "must be a list of Unicode strings"),
        ({"element_refs": 3}, "per element"),
        ({"element_refs": [[0, [1, 2], "patch"]]}, "per element"),
        ({"element_refs": [[float("inf"), [0, 1, 2, 3], "patch"]]}, "per element"),
        ({"element_refs": [[0, [0, 1, 2, 3], "patch"]]}, "lists 1 elements, but the file contains 5"),
    ],
)
def test_invalid_metadata_is_refused(header: object, message: str, arrays: Arrays, tmp_path: Path) -> None:
    assert message in refusal(write_header(tmp_path / "features.safetensors", arrays, header))


integers = st.sampled_from(["i1", "u1", ">i2", "u4", "i8", "u8"])


@st.composite
def labels(draw: st.DrawFn) -> NDArray[Any]:
    """Two to four labels of any integer type, including its extremes."""
    dtype = np.dtype(draw(integers))
    ends = np.iinfo(dtype)
    values = draw(st.lists(st.sampled_from([int(ends.min), int(ends.max)]) | st.integers(0, 3), min_size=2, max_size=4, unique=True))
    return np.array(values, dtype)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(y=labels(), write=st.sampled_from([np.savez, np.savez_compressed]))
def test_labels_of_any_integer_type_name_their_classes_unless_they_are_too_large(y: NDArray[Any], write: Any, tmp_path: Path) -> None:
    X = np.eye(len(y), dtype=np.float32)
    write(tmp_path / "f.npz", X_train=X, y_train=y, X_test=X, y_test=y)
    if int(y.max()) >= 2**63:
        assert f"the label {y.max()};" in refusal(tmp_path / "f.npz")
        return
    features = read_features(tmp_path / "f.npz")
    assert [features.class_names[label] for label in features.y_train] == [str(value) for value in y.tolist()]


COMPRESSIONS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    compression=st.none() | st.sampled_from(COMPRESSIONS),  # None for safetensors
    edits=st.lists(st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=4)), max_size=4),
    end=st.none() | st.integers(0, 5000),
)
@example(compression=zipfile.ZIP_LZMA, edits=[(60, b"\xff\xff")], end=None)
def test_damaged_files_raise_only_data_errors(
    compression: int | None, edits: list[tuple[int, bytes]], end: int | None, arrays: Arrays, tmp_path: Path
) -> None:
    path = tmp_path / "features"
    if compression is None:
        path.write_bytes(save(arrays, {"iis": json.dumps({"class_names": ["cat", "dog"]})}))
    else:
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, array in arrays.items():
                archive.writestr(f"{name}.npy", npy(array))
    content = bytearray(path.read_bytes())
    for place, changed in edits:
        start = place % len(content)
        content[start : start + len(changed)] = changed
    path.write_bytes(content[:end])
    try:
        features = read_features(path)
    except DataError:
        return
    assert features.X_train.shape[1] == features.X_test.shape[1]
    assert features.X_train.isfinite().all()
    assert set(features.y_test.tolist()) == set(range(features.class_count))


def test_labels_of_zeros_and_ones_in_columns_are_multi_label_data(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(40, 3)).astype(np.float32), np.array([[1, 1], [1, 0], [0, 1], [0, 0]] * 10)
    np.savez(tmp_path / "split.npz", X_train=X, y_train=y, X_test=X[:8], y_test=y[:8])
    features = read_features(tmp_path / "split.npz")
    assert features.labels_train is not None
    assert features.labels_train.tolist() == y.tolist()
    assert features.class_names == ("0", "1")
    assert features.y_train[:4].tolist() == [0, 0, 1, 2]
    assert features.notes == ("The data are multi-label: y_train and y_test are matrices of 0 and 1.",)
    np.savez(tmp_path / "whole.npz", X=X, y=y)
    unsplit = read_features(tmp_path / "whole.npz")
    assert unsplit.labels_test is not None
    assert sorted(map(tuple, unsplit.labels_test.tolist())) == sorted([(1, 1), (1, 0), (0, 1), (0, 0)] * 2)


@pytest.mark.parametrize(
    ("y_train", "y_test", "message"),
    [
        ([[1, 0], [0, 1]], [[1, 0], [0, 1]], "Each row of y_train and y_test has one 1"),
        ([[1, 2], [0, 1]], [[1, 0], [0, 1]], r"y_train has the shape \(2, 2\); send one label per row, or a matrix of 0 and 1"),
        ([[1, 1], [0, 1]], [[1, 0], [0, 1]], "1 of 2 labels have no training image without them: 1"),
        ([[1, 1], [0, 0]], [[1, 0, 1], [0, 1, 1]], "y_train has 2 columns but y_test has 3"),
        ([[1, 1], [0, 0]], [[0, 0], [0, 0]], "No test image has a label"),
        ([[1, 1], [0, 0], [0, 0]], [[1, 0], [0, 1]], "X_train has 2 rows but y_train has 3 labels"),
    ],
)
def test_label_matrices_that_cannot_be_scored_are_refused(y_train: object, y_test: object, message: str, tmp_path: Path) -> None:
    X = np.eye(2, dtype=np.float32)
    np.savez(tmp_path / "f.npz", X_train=X, y_train=np.array(y_train), X_test=X, y_test=np.array(y_test))
    with pytest.raises(DataError, match=message):
        read_features(tmp_path / "f.npz")
