"""Count local images as the service reads them, and estimate a study whose inputs are not registered."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from iis_client.cli.studies.counting import bytes_of, count_images
from iis_client.cli.studies.file import LocalStudy, read_study
from iis_client.cli.studies.request import estimate_request
from iis_engine.data.datasets import read_image_folder
from iis_schemas.datasets import DATASET_EXAMPLE, DatasetView


def images_in(folder: Path, counts: dict[str, int]) -> Path:
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (4, 4), (number, len(name), 0)).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """12 and 3 training images, 2 test images per class, and a file that is not an image."""
    folder = images_in(tmp_path / "split", {"train/a": 12, "train/b": 3, "val/a": 2, "val/b": 2})
    (folder / "train" / "a" / "notes.txt").write_text("not an image")
    return folder


def study_in(folder: Path, **changed: Any) -> LocalStudy:
    path = folder / "study.yaml"
    models = [{"initial_seed": seed, "architecture": "timm:resnet18"} for seed in (0, 1)]
    path.write_text(yaml.safe_dump({"models": models, "datasets": ["split"], "libraries": ["cluster"], **changed}))
    return read_study(path)


def test_images_are_counted_as_the_service_reads_them(split: Path) -> None:
    dataset = read_image_folder(split)
    assert count_images(split) == (len(dataset.train) + len(dataset.test), [12, 3]) == (19, [12, 3])


def test_an_archive_counts_like_its_folder_with_or_without_an_enclosing_folder(split: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "split.tar.gz", "w:gz") as tar:
        tar.add(split, "around")
    with zipfile.ZipFile(tmp_path / "split.zip", "w") as archive:
        for file in split.rglob("*.*"):
            archive.write(file, file.relative_to(split))
    assert count_images(tmp_path / "split.tar.gz") == (19, [12, 3])
    images, train = count_images(tmp_path / "split.zip") or (0, [])
    assert (images, sorted(train)) == (19, [3, 12])


def test_class_folders_without_splits_count_as_training_images(tmp_path: Path) -> None:
    assert count_images(images_in(tmp_path / "classes", {"a": 4, "b": 2})) == (6, [4, 2])


def test_a_file_that_is_not_an_archive_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "images.rar").write_bytes(b"Rar!")
    assert count_images(tmp_path / "images.rar") is None


def test_the_size_of_a_folder_is_the_size_of_its_files(split: Path) -> None:
    assert bytes_of(split) == sum(file.stat().st_size for file in split.rglob("*.*"))


def test_unregistered_inputs_stand_in_an_estimate_by_key_with_their_counts(split: Path, tmp_path: Path) -> None:
    assert split.is_dir()
    sources = ["split", "dst_1", {"features": "ready.npz"}, {"server_path": "/data"}]
    text = {"libraries": ["text"], "vlm": "mdl_9", "vocabulary": "from-classes"}
    study = study_in(tmp_path, datasets=sources, **text)
    registered = DatasetView.model_validate({**DATASET_EXAMPLE, "id": "dst_1"})
    request = estimate_request(study, {"datasets[1]": registered}, None)
    assert request.datasets == ["datasets[0]", "dst_1", "datasets[2]", "datasets[3]"]
    assert [entry.model for entry in request.models] == ["models[0]", "models[1]"]
    assert request.unregistered.models == ["models[0]", "models[1]", "vlm"]
    assert request.unregistered.vocabulary
    counted = {key: (each.kind, each.images, sorted(each.train)) for key, each in request.unregistered.datasets.items()}
    assert counted == {"datasets[0]": ("images", 19, [3, 12]), "datasets[2]": ("features", 0, []), "datasets[3]": ("images", None, [])}
