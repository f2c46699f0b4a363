"""What a study would cost, as far as this machine can tell."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from PIL import Image

from client.cli.studies.cost import Rate, local_cost
from client.cli.studies.counting import bytes_of, count_images
from client.cli.studies.file import StudyFile, read_study
from client.records import Dataset
from iis_engine.datasets import read_image_folder

ROW = cast("Dataset", {"kind": "images", "info": {"counts": {"train": {"a": 30, "b": 4}, "test": {"a": 5, "b": 5}}}})


def images_in(folder: Path, counts: dict[str, int]) -> Path:
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (4, 4), (number, len(name), 0)).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """12 and 3 training images, 2 test images a class, and a file that is no image."""
    folder = images_in(tmp_path / "split", {"train/a": 12, "train/b": 3, "val/a": 2, "val/b": 2})
    (folder / "train" / "a" / "notes.txt").write_text("no image")
    return folder


def study_of(folder: Path, **changed: Any) -> StudyFile:
    path = folder / "study.yaml"
    models = [{"initial_seed": seed, "architecture": "timm:resnet18"} for seed in (0, 1)]
    path.write_text(yaml.safe_dump({"models": models, "datasets": ["split"], "libraries": ["cluster"], **changed}))
    return read_study(path)


def test_images_are_counted_as_the_service_will_read_them(split: Path) -> None:
    read = read_image_folder(split)
    assert count_images(split, 10, 16) == len(read.train) + len(read.test) + (10 + 3) * 16 == 227


def test_an_archive_counts_as_its_folder_does_whether_it_has_one_around_all_or_not(split: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "split.tar.gz", "w:gz") as tar:
        tar.add(split, "around")
    with zipfile.ZipFile(tmp_path / "split.zip", "w") as archive:
        for file in split.rglob("*.*"):
            archive.write(file, file.relative_to(split))
    assert count_images(tmp_path / "split.tar.gz", 10, 16) == count_images(tmp_path / "split.zip", 10, 16) == 227


def test_class_folders_without_splits_are_counted_whole(tmp_path: Path) -> None:
    folder = images_in(tmp_path / "classes", {"a": 4, "b": 2})
    assert count_images(folder, 3, 15) == 6 + (3 + 2) * 15


def test_a_file_that_is_no_archive_counts_for_nothing_known(tmp_path: Path) -> None:
    (tmp_path / "images.rar").write_bytes(b"Rar!")
    assert count_images(tmp_path / "images.rar", 10, 16) is None


def test_every_pair_of_model_and_data_set_is_looked_at_once_whatever_is_read_from_it(split: Path, tmp_path: Path) -> None:
    study = study_of(tmp_path, libraries=["cluster", "prototype"], concept_counts=[5, 10], seeds=[0, 1], library_datasets=[None, "dst_1"])
    cost = local_cost(study, {"study.yaml: library_datasets[1]": ROW}, bytes_of(split), Rate(3, 0.5, 2.0), "")
    of_other = 34 + 10 + (10 + 4) * 16
    assert (cost.jobs, cost.images) == (2 * 2 * 2 * 2 * 2, 2 * (227 + of_other))
    assert cost.seconds == pytest.approx(2 * (227 + of_other) * 0.5 + 32 * 2.0)
    assert "Your last 3 finished jobs took 0.5 seconds for an image or crop and 2 seconds for the rest" in cost.basis


def test_without_a_rate_or_a_count_there_is_a_sentence_in_place_of_seconds(split: Path, tmp_path: Path) -> None:
    assert split.is_dir()
    silent = local_cost(study_of(tmp_path), {}, 0, None, "Nobody measured.")
    assert (silent.images, silent.seconds, silent.basis) == (2 * 227, None, "Nobody measured.")
    served = local_cost(study_of(tmp_path, datasets=[{"server_path": "/data"}]), {}, 0, Rate(1, 0.5, 2.0), "")
    assert (served.images, served.seconds) == (None, None)
    assert "cannot be counted from here" in served.basis
    unseen = local_cost(study_of(tmp_path), {}, 0, Rate(1, None, 2.0), "")
    assert unseen.seconds is None
    assert "how fast a network looks at images" in unseen.basis
