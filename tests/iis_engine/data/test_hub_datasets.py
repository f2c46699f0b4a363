"""Data sets of the Hugging Face Hub: written as class folders, or refused."""

from __future__ import annotations

import io
from pathlib import Path

import datasets as hub
import numpy as np
import pytest
from PIL import Image

from iis_engine.data.datasets import read_image_folder
from iis_engine.data.hub_datasets import read_hub_dataset, write_class_folders
from iis_engine.errors import DataError


def split(count: int, seed: int, names: list[str]) -> hub.Dataset:
    files = list[dict[str, object]]()
    for index in range(count):
        buffer = io.BytesIO()
        noise = np.random.default_rng((seed, index)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).save(buffer, "PNG")
        files.append({"bytes": buffer.getvalue(), "path": None})
    features = hub.Features({"picture": hub.Image(), "species": hub.ClassLabel(names=names), "id": hub.Value("int32")})
    rows = {"picture": files, "species": [index % len(names) for index in range(count)], "id": list(range(count))}
    return hub.Dataset.from_dict(rows, features=features)


def test_a_labelled_image_data_set_is_written_as_class_folders(tmp_path: Path) -> None:
    names = ["tabby/cat", "dog"]
    write_class_folders({"train": split(10, 0, names), "validation": split(4, 1, names)}, tmp_path)
    dataset = read_image_folder(tmp_path)
    assert dataset.class_names == ("dog", "tabby_cat")
    assert (len(dataset.train), len(dataset.test)) == (10, 4)


def texts(rows: hub.Dataset, names: list[str], column: str = "species") -> hub.Dataset:
    """The rows with labels as text."""
    return rows.remove_columns(column).add_column("label", [names[number] for number in rows[column]])


def test_labels_may_be_text(tmp_path: Path) -> None:
    rows = texts(split(10, 0, ["a", "b"]), ["tabby", "pug"])
    write_class_folders({"train": rows}, tmp_path)
    assert read_image_folder(tmp_path).class_names == ("pug", "tabby")


def test_the_given_columns_are_read(tmp_path: Path) -> None:
    rows = split(8, 0, ["a", "b"])
    undecoded = rows.cast_column("picture", hub.Image(decode=False))
    rows = rows.add_column("coat", ["x", "y", "z", "x"] * 2).add_column("thumbnail", undecoded["picture"], feature=hub.Image())
    with pytest.raises(DataError, match="exactly one image column; it has picture, thumbnail"):
        write_class_folders({"train": rows}, tmp_path / "refused")
    write_class_folders({"train": rows}, tmp_path / "read", image_column="thumbnail", label_column="coat")
    assert read_image_folder(tmp_path / "read").class_names == ("x", "y", "z")


@pytest.mark.parametrize(
    ("columns", "message"),
    [({"image_column": "id"}, "'id' is not among the columns of images"), ({"label_column": "picture"}, "'picture' is not among")],
)
def test_given_columns_that_are_absent_are_refused(columns: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        write_class_folders({"train": split(4, 0, ["a", "b"])}, tmp_path, **columns)


def test_a_test_split_with_withheld_labels_gives_way_to_validation(tmp_path: Path) -> None:
    names = ["a", "b"]
    labels = hub.Dataset.from_dict({"species": [-1] * 4}, features=hub.Features({"species": hub.ClassLabel(names=names)}))
    withheld = hub.concatenate_datasets([split(4, 2, names).remove_columns("species"), labels], axis=1)
    written = write_class_folders({"train": split(4, 0, names), "test": withheld, "validation": split(6, 1, names)}, tmp_path)
    assert written == ("train", "validation")
    assert len(read_image_folder(tmp_path).test) == 6


def tagged(rows: hub.Dataset, tags: list[list[int]], names: list[str]) -> hub.Dataset:
    """The rows with lists of class labels."""
    features = hub.Features({"tags": hub.List(hub.ClassLabel(names=names))})
    return hub.concatenate_datasets([rows.remove_columns("species"), hub.Dataset.from_dict({"tags": tags}, features=features)], axis=1)


def test_lists_of_labels_make_a_multi_label_data_set(tmp_path: Path) -> None:
    names = ["sky", "tree/bush", "bird"]
    train = tagged(split(6, 0, ["a"]), [[0, 1], [0], [2, 1], [], [1], [2]], names)
    withheld = tagged(split(3, 1, ["a"]), [[], [], []], names)
    test = tagged(split(3, 2, ["a"]), [[0, 1], [2], []], names)
    assert write_class_folders({"train": train, "test": withheld, "validation": test}, tmp_path, label_column="tags") == (
        "train",
        "validation",
    )
    dataset = read_image_folder(tmp_path)
    assert dataset.is_multi_label
    assert dataset.class_names == ("bird", "sky", "tree/bush")
    assert sorted(dataset.train_labels or ()) == [(), (0,), (0, 2), (1,), (1, 2), (2,)]
    assert sorted(dataset.test_labels or ()) == [(), (0,), (1, 2)]


def test_lists_of_text_of_one_label_each_are_single_label_data(tmp_path: Path) -> None:
    rows = split(8, 0, ["a"]).remove_columns("species").add_column("labels", [["cat"], ["dog"]] * 4)
    write_class_folders({"train": rows}, tmp_path)
    dataset = read_image_folder(tmp_path)
    assert (dataset.is_multi_label, dataset.class_names) == (False, ("cat", "dog"))


def test_class_names_that_become_one_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'a/b' and 'a:b' become the same folder"):
        write_class_folders({"train": split(4, 0, ["a/b", "a:b"])}, tmp_path)


def test_a_data_set_without_an_image_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="exactly one image column; it has none"):
        write_class_folders({"train": split(4, 0, ["a", "b"]).remove_columns("picture")}, tmp_path)


def test_a_data_set_without_a_train_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no train split; it has test"):
        write_class_folders({"test": split(4, 0, ["a", "b"])}, tmp_path)


@pytest.mark.parametrize("name", ["/etc", "../secrets", "a/b/c", "hf://x", "."])
def test_a_name_that_is_not_owner_and_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not the name of a Hub data set"):
        read_hub_dataset(name, tmp_path)


def test_a_failed_download_is_an_error_that_suggests_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"could not be downloaded from the Hub.*upload it as an archive") as caught:
        read_hub_dataset("no-owner/no-such-data-set", tmp_path)
    assert caught.value.code == "dataset_unavailable"
