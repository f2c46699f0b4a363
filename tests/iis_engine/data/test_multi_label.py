"""Multi-label data: manifests with several labels per image become sets of labels; each label has training images with and without it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from iis_engine.data.datasets import read_image_folder
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.errors import DataError
from support.image_files import write_images, write_text

NAMES = [f"{number:03d}" for number in range(12)]
SETS = [["cat"], ["cat", "dog"], ["dog"], ["cat", "hat"], ["dog", "hat"], ["hat"]] * 2
SPLITS = ["train"] * 6 + ["test"] * 6


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Twelve images in one folder, without classes."""
    return write_images(tmp_path / "set", [f"images/{name}.png" for name in NAMES])


def label_names(dataset: ImageDataset) -> dict[str, list[str]]:
    """Labels of each image by its name."""
    assert dataset.train_labels is not None
    assert dataset.test_labels is not None
    pairs = [*zip(dataset.train, dataset.train_labels, strict=True), *zip(dataset.test, dataset.test_labels, strict=True)]
    return {image.path.stem: [dataset.class_names[label] for label in labels] for image, labels in pairs}


def write_manifest(folder: Path, form: str) -> None:
    rows = list(zip(NAMES, SETS, SPLITS, strict=True))
    lists = [{"path": f"{name}.png", "labels": labels, "split": split} for name, labels, split in rows]
    if form == "repeated rows":
        lines = [f"{name}.png,{label},{split}" for name, labels, split in rows for label in labels]
        write_text(folder, "labels.csv", ["path,label,split", *lines])
    elif form == "lists in JSON Lines":
        write_text(folder, "labels.jsonl", map(json.dumps, lists))
    elif form == "lists in Parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(lists), folder / "labels.parquet")
    elif form == "columns of 0 and 1":
        lines = [
            ",".join([f"{name}.png", split, *(str(int(each in labels)) for each in ("cat", "dog", "hat"))]) for name, labels, split in rows
        ]
        write_text(folder, "labels.csv", ["path,split,cat,dog,hat", *lines])
    else:
        lines = [f'{name}.png,"{form.join(labels)}",{split}' for name, labels, split in rows]
        write_text(folder, "labels.csv", ["path,labels,split", *lines])


@pytest.mark.parametrize("form", ["repeated rows", "lists in JSON Lines", "lists in Parquet", "columns of 0 and 1", "|", ";", ", ", " "])
def test_several_labels_of_an_image_become_a_set_in_each_form_of_a_manifest(form: str, flat: Path) -> None:
    write_manifest(flat, form)
    dataset = read_image_folder(flat)
    assert dataset.class_names == ("cat", "dog", "hat")
    assert label_names(dataset) == dict(zip(NAMES, SETS, strict=True))
    assert (len(dataset.train), len(dataset.test)) == (6, 6)
    assert dataset.notes[1] == "The data are multi-label: 6 of 12 images have several of the 3 labels."


def test_a_stored_data_set_keeps_the_sets_and_its_digest_depends_on_them(flat: Path, tmp_path: Path) -> None:
    write_manifest(flat, "|")
    dataset = read_image_folder(flat)
    dataset.save(tmp_path / "dataset.json")
    assert ImageDataset.load(tmp_path / "dataset.json", flat) == dataset
    write_text(flat, "labels.csv", [(flat / "labels.csv").read_text().replace('000.png,"cat"', '000.png,"cat|hat"')])
    assert read_image_folder(flat).digest != dataset.digest


def test_rows_of_zeros_and_empty_lists_are_images_without_a_label(flat: Path) -> None:
    rows = [{"path": f"{name}.png", "labels": labels} for name, labels in zip(NAMES, [[], [], *SETS[2:]], strict=True)]
    write_text(flat, "labels.jsonl", map(json.dumps, rows))
    found = label_names(read_image_folder(flat))
    assert (found["000"], found["001"], len(found)) == ([], [], 12)


def test_without_splits_the_rarest_label_of_an_image_decides_so_that_rare_labels_reach_both(flat: Path) -> None:
    rows = [f"{name}.png,{'all|rare' if number < 2 else 'all|common' if number < 9 else 'common'}" for number, name in enumerate(NAMES)]
    write_text(flat, "labels.csv", ["path,labels", *rows])
    dataset = read_image_folder(flat)
    assert dataset.train_labels is not None
    assert dataset.test_labels is not None
    rare = dataset.class_names.index("rare")
    assert [sum(rare in labels for labels in sets) for sets in (dataset.train_labels, dataset.test_labels)] == [1, 1]


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["a|b"] * 6 + ["a|c"] * 6, r"1 of 3 labels have no training image: c\."),
        (["a|b", "a"] * 6, r"1 of 2 labels have no training image without them: a\."),
        (["a|b", "a", "b"] * 2 + [""] * 6, "No test image has a label"),
    ],
)
def test_labels_that_no_head_can_be_fitted_to_are_refused_by_name(sets: list[str], message: str, flat: Path) -> None:
    rows = [
        {"path": f"{name}.png", "labels": [*filter(None, labels.split("|"))], "split": split}
        for name, labels, split in zip(NAMES, sets, SPLITS, strict=True)
    ]
    write_text(flat, "labels.jsonl", map(json.dumps, rows))
    with pytest.raises(DataError, match=message) as refused:
        read_image_folder(flat)
    assert refused.value.code == "dataset_classes"


def test_labels_without_a_test_image_are_named_in_a_warning(flat: Path) -> None:
    rows = [
        f"{name}.png,{labels},{split}" for name, labels, split in zip(NAMES, ["a|b", "a", "b|c"] * 2 + ["a|b"] * 6, SPLITS, strict=True)
    ]
    write_text(flat, "labels.csv", ["path,labels,split", *rows])
    warnings = read_image_folder(flat).warnings
    assert "1 of 3 labels have no test image and are left out of the mean average precision: c." in warnings


def test_lists_of_one_label_each_are_single_label_data(flat: Path) -> None:
    write_text(
        flat, "labels.jsonl", [json.dumps({"path": f"{name}.png", "labels": [label]}) for name, label in zip(NAMES, "ab" * 6, strict=True)]
    )
    dataset = read_image_folder(flat)
    assert not dataset.is_multi_label
    assert dataset.class_names == ("a", "b")


def test_a_table_of_several_labels_beside_class_folders_is_not_read(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{label}/{name}.png" for label, name in zip("ab" * 6, NAMES, strict=True)])
    write_text(tmp_path, "tags.csv", ["path,labels", *(f"{name}.png,{'|'.join(labels)}" for name, labels in zip(NAMES, SETS, strict=True))])
    dataset = read_image_folder(tmp_path)
    assert not dataset.is_multi_label
    assert dataset.notes[-1] == "tags.csv was not read, since the folders give the classes."
