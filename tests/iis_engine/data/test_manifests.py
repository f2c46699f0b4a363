"""Manifests: tables of paths, labels and splits, found among the images or chosen; contradictions are refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from iis_engine.data.datasets import read_image_folder
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.data.labels.manifests import ManifestChoice
from iis_engine.errors import DataError
from support.image_files import write_images, write_text

NAMES = [f"{number:03d}" for number in range(12)]
LABELS = ["cat", "dog"] * 6
WORDS = ["a", "b", "c", "a b", "b c", "a c"]
SPLITS = ["train"] * 8 + ["test"] * 4


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Twelve images in one folder, without classes."""
    return write_images(tmp_path / "set", [f"images/{name}.png" for name in NAMES])


def sizes(dataset: ImageDataset) -> dict[str, dict[str, int]]:
    return {split: dict(Counter(dataset.class_names[image.label] for image in getattr(dataset, split))) for split in ("train", "test")}


EVEN = {"train": {"cat": 4, "dog": 4}, "test": {"cat": 2, "dog": 2}}


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_a_table_among_the_images_gives_labels_and_splits(suffix: str, flat: Path) -> None:
    rows = [{"path": f"images/{n}.png", "label": label, "split": s} for n, label, s in zip(NAMES, LABELS, SPLITS, strict=True)]
    path = flat / f"labels.{suffix}"
    if suffix == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif suffix == "jsonl":
        write_text(flat, path.name, map(json.dumps, rows))
    else:
        delimiter = "," if suffix == "csv" else "\t"
        write_text(flat, path.name, [delimiter.join(("path", "label", "split")), *(delimiter.join(row.values()) for row in rows)])
    dataset = read_image_folder(flat)
    assert sizes(dataset) == EVEN
    assert dataset.notes == (f"Labels were read from labels.{suffix} ('path' as path, 'label' as label, 'split' as split).",)
    assert dataset.warnings == ()


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("id,breed", "{name},{label}"),
        ("Image_ID;Diagnosis", "{name};{label}"),
        ("filepaths,labels", "/kaggle/input/some-set/images/{name}.png,{label}"),
        ("what,ever", "{name}.png,{label}"),
        ("file,class,width", "set\\images\\{name}.png,{label},8"),
    ],
)
def test_the_usual_columns_are_recognised(header: str, row: str, flat: Path) -> None:
    write_text(flat, "labels.csv", [header, *(row.format(name=name, label=label) for name, label in zip(NAMES, LABELS, strict=True))])
    assert sizes(read_image_folder(flat)) == {"train": {"cat": 5, "dog": 5}, "test": {"cat": 1, "dog": 1}}


def test_a_table_without_a_header_is_recognised(flat: Path) -> None:
    write_text(flat, "labels.csv", [f"{name}.png,{label}" for name, label in zip(NAMES, LABELS, strict=True)])
    assert sum(sizes(read_image_folder(flat))["train"].values()) == 10


def test_one_table_for_each_split_beside_the_images_of_that_split(tmp_path: Path) -> None:
    for split, count in (("train", 4), ("test", 2)):
        write_images(tmp_path, [f"{split}/{number}.png" for number in range(2 * count)])
        lines = [f"{number}.png,{'cat' if number % 2 else 'dog'}" for number in range(2 * count)]
        write_text(tmp_path, f"{split}/metadata.csv", ["file_name,label", *lines])
    write_text(tmp_path, "sample_submission.csv", ["id,label", "0,cat"])
    assert sizes(read_image_folder(tmp_path)) == EVEN


def test_a_chosen_table_beside_the_data_set_with_chosen_columns(flat: Path, tmp_path: Path) -> None:
    lines = [f"{name},{label},{'x' if label == 'cat' else 'y'}" for name, label in zip(NAMES, LABELS, strict=True)]
    table = write_text(tmp_path, "elsewhere/table.csv", ["number,label,coat", *lines])
    choice = ManifestChoice(table, columns={"path": "number", "label": "coat"})
    assert read_image_folder(flat, manifest=choice).class_names == ("x", "y")


def test_a_chosen_table_inside_wins_over_class_folders(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{folder}/{name}.png" for folder, name in zip(("a", "b") * 6, NAMES, strict=True)])
    coats = [f"{name},{'short' if int(name) < 6 else 'long'}" for name in NAMES]
    write_text(tmp_path, "lists/coats.csv", ["id,label", *coats])
    with pytest.raises(DataError, match=r"coats\.csv gives other classes than the folders") as caught:
        read_image_folder(tmp_path)
    assert caught.value.code == "manifest_conflict"
    assert read_image_folder(tmp_path, manifest=ManifestChoice(name="lists/coats.csv")).class_names == ("long", "short")


def test_a_table_that_agrees_with_class_folders_gives_their_splits(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{label}/{name}.png" for name, label in zip(NAMES, LABELS, strict=True)])
    rows = [f"{name}.png,{int(label == 'dog')},{split}" for name, label, split in zip(NAMES, LABELS, SPLITS, strict=True)]
    write_text(tmp_path, "list.csv", ["file,label,split", *rows])
    dataset = read_image_folder(tmp_path)
    assert sizes(dataset) == EVEN
    assert dataset.notes[-1] == "The splits were read from list.csv."


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["path,label", "images/000.png,cat", *(f"images/{name}.png,dog" for name in NAMES)],
            r"000\.png has several labels in the manifest \('cat' and 'dog'\), as have 1 of 12 images.*join the labels of an image by \|",
        ),
        (["path,label,split", "images/000.png,cat,train", "images/000.png,cat,test"], "000.png has several splits in the manifest"),
        (["path,label,split", "images/000.png,cat,fold7"], "The split 'fold7' in the column 'split'"),
        (["path,label", "images/000.png,cat", "a.png,cat", "b.png,dog"], r"2 of 3 rows of t\.csv name no image"),
        (["width,height", "3,4"], r"not recognised as a manifest; its columns are width, height"),
        (["path,label", "images/000.png,cat,more"], r"line 2 has 3 cells"),
    ],
)
def test_a_chosen_table_that_does_not_fit_is_refused_with_the_row_or_column(lines: list[str], message: str, flat: Path) -> None:
    write_text(flat, "t.csv", lines)
    with pytest.raises(DataError, match=message):
        read_image_folder(flat, manifest=ManifestChoice(name="t.csv", columns={}))


def test_a_column_of_zeros_and_ones_for_each_class_gives_the_label(flat: Path) -> None:
    rows = [f"{name}.png,{int(label == 'cat')},{int(label == 'dog')}.0" for name, label in zip(NAMES, LABELS, strict=True)]
    write_text(flat, "truth.csv", ["image,cat,dog", *rows])
    dataset = read_image_folder(flat)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.notes[0] == "Labels were read from truth.csv ('image' as path, 2 columns of 0 and 1 as label)."


def test_names_of_several_words_are_no_several_labels(flat: Path) -> None:
    named = ["hot dog", "hot", "dog", "maillot", "maillot, tank suit", "a; b"]
    write_text(flat, "labels.csv", ["image,label", *(f'{name}.png,"{label}"' for name, label in zip(NAMES, named * 2, strict=True))])
    assert len(read_image_folder(flat).class_names) == 6


def test_a_missing_column_or_table_is_refused_by_name(flat: Path) -> None:
    write_text(flat, "t.csv", ["path,label", "images/000.png,cat"])
    with pytest.raises(DataError, match=r"t\.csv has no column 'coat' for the label; it has path, label"):
        read_image_folder(flat, manifest=ManifestChoice(name="t.csv", columns={"label": "coat"}))
    with pytest.raises(DataError, match=r"contains no table 'u\.csv'"):
        read_image_folder(flat, manifest=ManifestChoice(name="u.csv"))


def test_images_and_rows_without_a_partner_are_counted(flat: Path) -> None:
    rows = [f"{name},{label}" for name, label in zip(NAMES[:10], LABELS, strict=False)]
    write_text(flat, "labels.csv", ["id,label", *rows, "lost,cat", "010,", "011,"])
    warnings = read_image_folder(flat).warnings
    assert "1 of 13 rows of labels.csv name no image of the data set: lost." in warnings
    assert "2 of 13 rows of labels.csv have no label, and their images were left out." in warnings
    assert "2 images have no label in the manifest and were left out." in warnings


def test_a_test_split_whose_labels_are_withheld_gives_way_to_validation(flat: Path) -> None:
    splits = ["train"] * 6 + ["val"] * 4 + ["test"] * 2
    labels = [*LABELS[:10], "-1", "-1"]
    rows = [f"{name},{label},{split}" for name, label, split in zip(NAMES, labels, splits, strict=True)]
    write_text(flat, "labels.csv", ["id,label,split", *rows])
    assert sizes(read_image_folder(flat)) == {"train": {"cat": 3, "dog": 3}, "test": {"cat": 2, "dog": 2}}


def test_two_tables_without_splits_are_refused_until_one_is_chosen(flat: Path) -> None:
    for name in ("one.csv", "two.csv"):
        write_text(flat, name, ["id,label", *(f"{name},{label}" for name, label in zip(NAMES, LABELS, strict=True))])
    with pytest.raises(DataError, match=r"Several tables could be the manifest \(one\.csv.*two\.csv"):
        read_image_folder(flat)
    assert read_image_folder(flat, manifest=ManifestChoice(name="one.csv")).class_names == ("cat", "dog")


def test_a_path_that_leaves_the_data_set_names_no_image(flat: Path) -> None:
    outside = write_images(flat.parent, ["secret-1.png", "secret-2.png"])
    write_text(flat, "labels.csv", ["path,label", "../secret-1.png,cat", f"{outside}/secret-2.png,dog"])
    with pytest.raises(DataError, match=r"2 of 2 rows of labels\.csv name no image of the data set"):
        read_image_folder(flat, manifest=ManifestChoice(name="labels.csv", columns={"path": "path", "label": "label"}))
