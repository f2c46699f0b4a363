"""Layouts of class folders: read with the right classes and splits, or refused with the folders' names."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import pytest

from iis_engine.data.datasets import read_image_folder
from iis_engine.data.folders.class_folders import ClassImages, find_class_images
from iis_engine.data.folders.folder_tree import read_folder_tree
from iis_engine.errors import DataError
from support.image_files import write_images, write_text


def find(root: Path) -> ClassImages:
    return find_class_images(read_folder_tree(root))


def counts(found: ClassImages) -> dict[tuple[str, str | None], int]:
    counted: dict[tuple[str, str | None], int] = {}
    for image in found.images:
        key = image.class_name, image.split
        counted[key] = counted.get(key, 0) + 1
    return counted


def write_classes(root: Path, folders: Iterable[str], classes: Iterable[str] = ("cat", "dog"), count: int = 3) -> Path:
    return write_images(root, [f"{folder}/{name}/{number}.png" for folder, name, number in product(folders, classes, range(count))])


SPLIT = {("cat", "train"): 3, ("dog", "train"): 3, ("cat", "test"): 3, ("dog", "test"): 3}
UNSPLIT: dict[tuple[str, str | None], int] = {("cat", None): 3, ("dog", None): 3}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "dev"),
        ("training_set", "test_set"),
        ("Train", "Eval"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train_images", "val_images"),
        ("TrainImages", "TestImages"),
        ("train2017", "val2017"),
        ("images/train", "images/test"),
        ("train/images", "test/images"),
        ("data/wrapped/trainset", "data/wrapped/testset"),
        ("trainval", "test"),
    ],
)
def test_split_folders_are_recognised_by_their_names(train: str, test: str, tmp_path: Path) -> None:
    found = find(write_classes(tmp_path, [train, test]))
    assert counts(found) == SPLIT
    assert found.warnings == ()


def test_splits_inside_the_class_folders_are_read(tmp_path: Path) -> None:
    found = find(write_images(tmp_path, [f"{a}/{b}/{n}.png" for a, b, n in product(("cat", "dog"), ("train", "test", "val"), range(3))]))
    assert counts(found) == SPLIT
    assert "6 images of other folders beside were left out" in found.warnings[0]


def test_a_class_named_like_a_split_stays_a_class(tmp_path: Path) -> None:
    found = find(write_images(tmp_path, [f"{name}/{number}.png" for name, number in product(("bullet train", "test tube"), range(3))]))
    assert counts(found) == {("bullet train", None): 3, ("test tube", None): 3}


def test_a_sibling_that_is_no_split_is_named(tmp_path: Path) -> None:
    write_classes(tmp_path, ["train", "test", "extra"])
    assert find(tmp_path).warnings == ("extra was left out; it holds 6 images.",)


def test_a_test_folder_without_labels_gives_way_to_the_validation_folder(tmp_path: Path) -> None:
    write_images(write_classes(tmp_path, ["train", "val"]), ["test/1.png", "test/2.png"])
    found = find(tmp_path)
    assert counts(found) == SPLIT
    assert found.warnings == ("test was left out; it holds 2 images without class folders.",)


def test_several_training_folders_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"several training splits \(train1, train2\)"):
        find(write_classes(tmp_path, ["train1", "train2", "test"]))


def test_the_only_folder_with_images_is_entered_past_lists_and_readings(tmp_path: Path) -> None:
    write_text(tmp_path, "set/README.txt", ["x"])
    write_text(tmp_path, "set/meta/classes.txt", ["cat"])
    found = find(write_classes(tmp_path, ["set/images"]))
    assert counts(found) == UNSPLIT
    assert found.notes == ("2 files that are not images of a supported format were left out: 2 .txt.",)


@pytest.mark.parametrize("domains", [("art", "photo"), ("amazon/images", "webcam/images"), ("val", "test")])
def test_domains_above_the_classes_are_refused_with_both_names(domains: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"hold the same subfolders \(cat, dog\), so they look like (domains or )?splits, not classes"
    ) as caught:
        find(write_classes(tmp_path, domains))
    assert all(domain.split("/")[0] in str(caught.value) for domain in domains)
    assert caught.value.code == "dataset_classes"


def test_numbered_parts_inside_the_classes_are_no_domains(tmp_path: Path) -> None:
    assert counts(find(write_images(tmp_path, [f"{a}/part{n}/{n}.png" for a, n in product(("cat", "dog"), range(3))]))) == UNSPLIT


def test_subfolders_that_are_merged_into_their_class_are_noted(tmp_path: Path) -> None:
    found = find(write_images(tmp_path, [*(f"animal/{a}/1.png" for a in ("cat", "dog")), *(f"vehicle/{a}/1.png" for a in ("bus", "car"))]))
    assert counts(found) == {("animal", None): 2, ("vehicle", None): 2}
    assert found.notes == ("2 of 2 class folders contain subfolders, whose images count for the class: animal has cat, dog.",)


@pytest.mark.parametrize("names", [("images", "masks"), ("JPEGImages", "SegmentationClass"), ("img", "ground truth")])
def test_images_beside_their_annotations_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="are images and their annotations, not classes"):
        find(write_images(tmp_path, [f"{folder}/{number}.png" for folder, number in product(names, range(5))]))


@pytest.mark.parametrize("stems", [("beagle_1", "pug_2", "lynx_3"), ("139", "285", "632")])
def test_folders_with_files_of_the_same_telling_names_are_refused(stems: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="hold files of the same names"):
        find(write_images(tmp_path, [f"{folder}/{stem}.png" for folder, stem in product(("photos", "sketches"), stems)]))


def test_numbered_files_of_a_sample_may_have_the_same_names_in_many_classes(tmp_path: Path) -> None:
    numbers = {"bird": (1, 3, 4, 9, 17, 23), "deer": (1, 3, 4, 9, 17, 40), "frog": (3, 9, 23, 40, 41, 4)}
    found = find(write_images(tmp_path, [f"{name}/{number:04d}.png" for name, held in numbers.items() for number in held]))
    assert len(found.images) == 18


@pytest.mark.parametrize("names", [("HAM_part_1", "HAM_part_2"), ("images_001", "images_002")])
def test_numbered_parts_of_one_set_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="look like numbered parts of one set"):
        find(write_images(tmp_path, [f"{folder}/{folder}_{number}.png" for folder, number in product(names, range(5))]))


@pytest.mark.parametrize("litter", [".ipynb_checkpoints", "@eaDir", "__MACOSX", ".hidden"])
def test_hidden_and_system_folders_are_left_out_at_every_depth(litter: str, tmp_path: Path) -> None:
    write_classes(tmp_path, ["."])
    write_images(tmp_path, [f"{litter}/1.png", f"cat/{litter}/1.png", f"cat/deep/{litter}/1.png"])
    found = find(tmp_path)
    assert counts(found) == UNSPLIT
    assert found.ignored_count == 0


def test_classes_without_an_image_that_is_read_are_named_with_their_formats(tmp_path: Path) -> None:
    write_classes(tmp_path, ["."])
    write_text(tmp_path, "bird/1.heic", [])
    (tmp_path / "fish").mkdir()
    assert find(tmp_path).warnings == (
        "These folders of the data set contain no image that is read and give no class: bird (1 .heic), fish (empty).",
        "1 files have image formats that are not read and were left out (1 .heic); save them as PNG or JPEG.",
    )


def test_the_refusal_of_one_class_names_the_folders_that_gave_none(tmp_path: Path) -> None:
    write_images(tmp_path, ["cat/1.png", "cat/2.png"])
    write_text(tmp_path, "bird/1.heic", [])
    with pytest.raises(DataError, match=r"has one class \(cat\).*bird \(1 \.heic\)"):
        read_image_folder(tmp_path)


def test_a_class_that_is_a_link_out_of_the_folder_is_named(tmp_path: Path) -> None:
    outside = write_images(tmp_path / "outside", ["1.png"])
    root = write_classes(tmp_path / "inside", ["."])
    (root / "bird").symlink_to(outside)
    found = find(root)
    assert counts(found) == UNSPLIT
    assert found.warnings == (
        "These links in the data set lead out of the data set and were not read: bird. Put the files themselves there.",
    )


def test_a_link_to_a_class_inside_is_followed_and_a_circle_of_links_is_not(tmp_path: Path) -> None:
    write_images(tmp_path, ["store/1.png", "store/2.png", "train/cat/1.png", "test/cat/1.png"])
    for split in ("train", "test"):
        (tmp_path / split / "dog").symlink_to(tmp_path / "store")
    (tmp_path / "train" / "cat" / "again").symlink_to(tmp_path / "train")
    assert counts(find(tmp_path)) == {("cat", "train"): 1, ("dog", "train"): 2, ("cat", "test"): 1, ("dog", "test"): 2}


def test_class_names_are_in_unicode_normalisation_form_c(tmp_path: Path) -> None:
    for split, form in (("train", "NFC"), ("test", "NFD")):
        write_images(tmp_path, [f"{split}/{unicodedata.normalize(form, name)}/1.png" for name in ("café", "thé")])  # type: ignore[arg-type]
    assert {image.class_name for image in find(tmp_path).images} == {"café", "thé"}


@pytest.mark.parametrize("names", [("Cat", "cat"), ("red fox", "red_fox")])
def test_class_names_that_differ_in_case_or_spaces_alone_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="differ only in case") as caught:
        find(write_images(tmp_path, [f"{name}/1.png" for name in names]))
    assert all(repr(name) in str(caught.value) for name in names)


def test_upper_and_lower_letters_may_be_classes(tmp_path: Path) -> None:
    assert len(counts(find(write_images(tmp_path, ["a/1.png", "A/2.png"])))) == 2


def test_images_outside_of_class_folders_are_named(tmp_path: Path) -> None:
    write_images(write_classes(tmp_path, ["."]), ["sample.png"])
    assert find(tmp_path).warnings == ("1 images of the data set lie in no class folder and were left out: sample.png.",)
