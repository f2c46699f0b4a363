"""Formats of ready features: each gives the same matrices, or a refusal that names what is missing."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from iis_engine.errors import DataError
from iis_engine.features.feature_set import FeatureSet, read_features

Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def arrays() -> Arrays:
    generator = np.random.default_rng(0)
    draw = {name: generator.normal(size=(rows, 3)).astype(np.float32) for name, rows in (("X_train", 8), ("X_test", 4))}
    return {**draw, "y_train": np.arange(8) % 2, "y_test": np.arange(4) % 2}


def npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def write_archive(path: Path, arrays: Arrays) -> Path:
    """Write npy files into a zip, a tar or a folder, by the path's suffix."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, array in arrays.items():
                packed.writestr(f"{name}.npy", npy(array))
    elif path.suffix == ".tar":
        with tarfile.open(path, "w") as tar:
            for name, array in arrays.items():
                info = tarfile.TarInfo(f"{name}.npy")
                info.size = len(npy(array))
                tar.addfile(info, io.BytesIO(npy(array)))
    else:
        for name, array in arrays.items():
            (path / f"{name}.npy").parent.mkdir(parents=True, exist_ok=True)
            np.save(path / f"{name}.npy", array)
    return path


def require_equal(found: FeatureSet, arrays: Arrays, tolerance: float = 0.0) -> None:
    for name in ("X_train", "X_test"):
        assert np.allclose(getattr(found, name).numpy(), arrays[name], atol=tolerance, rtol=0)
    for name in ("y_train", "y_test"):
        assert getattr(found, name).tolist() == arrays[name].tolist()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_floating_point_of_any_width_becomes_float32_with_a_note(dtype: torch.dtype, arrays: Arrays, tmp_path: Path) -> None:
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    tensors |= {name: tensors[name].to(dtype) for name in ("X_train", "X_test")}
    save_file(tensors, tmp_path / "a.safetensors")
    found = read_features(tmp_path / "a.safetensors")
    assert (found.X_train == tensors["X_train"].float()).all()
    assert found.notes == (f"Features were converted from {str(dtype)[6:]} to float32.",)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "folder"])
def test_npy_files_are_read_from_archives_and_folders(name: str, arrays: Arrays, tmp_path: Path) -> None:
    require_equal(read_features(write_archive(tmp_path / name, arrays)), arrays)


@pytest.mark.parametrize(
    "names",
    [
        ("train_features", "train_labels", "test_features", "test_labels"),
        ("train/x", "train/y", "val/x", "val/y"),
        ("features_train", "targets_train", "features_test", "targets_test"),
    ],
)
def test_usual_names_of_arrays_are_recognised_with_a_note(names: tuple[str, ...], arrays: Arrays, tmp_path: Path) -> None:
    renamed = dict(zip(names, (arrays[name] for name in ("X_train", "y_train", "X_test", "y_test")), strict=True))
    found = read_features(write_archive(tmp_path / "a.zip", renamed))
    require_equal(found, arrays)
    assert f"{names[0]} as X_train" in found.notes[-1]


def test_a_pair_without_splits_is_split_by_class_whatever_the_order_of_rows(tmp_path: Path) -> None:
    X, y = np.random.default_rng(0).normal(size=(30, 3)), np.repeat([4, 7, 9], 10)
    order = np.random.default_rng(1).permutation(30)
    first = read_features(write_archive(tmp_path / "a.zip", {"features": X, "labels": y}), test_share=0.3)
    second = read_features(write_archive(tmp_path / "b.zip", {"X": X[order], "y": y[order]}), test_share=0.3)
    assert torch.bincount(first.y_test).tolist() == [3, 3, 3]
    assert {tuple(row) for row in first.X_test.tolist()} == {tuple(row) for row in second.X_test.tolist()}
    assert first.class_names == ("4", "7", "9")
    assert "The file has no split, so that 30% of each class became the test split." in first.notes


def test_a_torch_file_of_plain_tensors_is_read(arrays: Arrays, tmp_path: Path) -> None:
    torch.save({**{name: torch.from_numpy(array) for name, array in arrays.items()}, "epoch": 3}, tmp_path / "a.pt")
    require_equal(read_features(tmp_path / "a.pt"), arrays)


class _Gadget:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit",)


@pytest.mark.parametrize("content", [{"X_train": _Gadget()}, [torch.zeros(3)], {"X_train": torch.zeros(3).to_sparse()}])
def test_a_torch_file_of_anything_else_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(DataError):
        read_features(tmp_path / "a.pt")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("vectors", [False, True])
def test_a_table_of_rows_is_read(suffix: str, vectors: bool, arrays: Arrays, tmp_path: Path) -> None:
    X = np.concatenate([arrays["X_train"], arrays["X_test"]])
    y = np.concatenate([arrays["y_train"], arrays["y_test"]])
    columns: dict[str, Any] = {"id": list(range(12)), "path": [f"{row}.png" for row in range(12)], "label": [("cat", "dog")[v] for v in y]}
    columns |= {"split": ["train"] * 8 + ["val"] * 4}
    columns |= {"embedding": X.tolist()} if vectors else {f"f{place}": X[:, place].tolist() for place in range(3)}
    if vectors and suffix == "csv":
        return  # CSV has no columns of vectors
    table = pyarrow.Table.from_pydict(columns)
    write: Any = pyarrow.csv.write_csv if suffix == "csv" else pyarrow.parquet.write_table
    write(table, tmp_path / f"a.{suffix}")
    found = read_features(tmp_path / f"a.{suffix}")
    require_equal(found, arrays, 1e-6)
    assert found.class_names == ("cat", "dog")
    assert found.notes == (f"2 columns of a.{suffix} are no features and were left out: id, path.",)


def test_labels_may_be_text_or_whole_numbers_in_floating_point(arrays: Arrays, tmp_path: Path) -> None:
    text = {name: np.array(["cat", "dog"])[arrays[name]] for name in ("y_train", "y_test")}
    assert read_features(write_archive(tmp_path / "a.zip", {**arrays, **text})).class_names == ("cat", "dog")
    floats = {name: arrays[name].astype(np.float64) for name in ("y_train", "y_test")}
    assert read_features(write_archive(tmp_path / "b.zip", {**arrays, **floats})).class_names == ("0", "1")


def test_missing_arrays_and_labels_are_refused_by_name(arrays: Arrays, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks y_train, X_test, y_test; it contains X_train\."):
        read_features(write_archive(tmp_path / "a.zip", {"X_train": arrays["X_train"]}))
    pyarrow.csv.write_csv(pyarrow.Table.from_pydict({"a": [1.0], "b": [2.0]}), tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"a\.csv has no column of labels; name one label\. It has a, b\."):
        read_features(tmp_path / "a.csv")


def test_a_dominant_class_gives_a_warning(tmp_path: Path) -> None:
    labels = np.array([0] * 9 + [1])
    file = write_archive(tmp_path / "a.zip", {"X_train": np.eye(10), "y_train": labels, "X_test": np.eye(10), "y_test": labels})
    assert read_features(file).warnings[0].startswith("'0' has 90 % of the training images")
