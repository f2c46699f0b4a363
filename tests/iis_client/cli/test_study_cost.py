"""What a study would cost, as far as this machine can tell."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml
from PIL import Image

from iis_client import IISClient
from iis_client.cli.studies.cost import Rate, local_cost, measured_rate
from iis_client.cli.studies.counting import bytes_of, count_images
from iis_client.cli.studies.file import StudyFile, read_study
from iis_client.transport.http import Transport
from iis_client.types.scores import Dataset
from iis_engine.data.datasets import read_image_folder

if TYPE_CHECKING:
    from support.scripted_service import ScriptedService

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


def stream_of(*stages: tuple[str, float, str | None]) -> str:
    """The stream of a finished job: stages with their seconds, and of which data set where it is not the job's own."""
    told = [{"stage": stage, "state": "finished", "seconds": seconds, **({"dataset": of} if of else {})} for stage, seconds, of in stages]
    lines = [("stage", data) for data in told] + [("state", {"state": "succeeded"})]
    events = [{"id": number, "type": kind, "data": data} for number, (kind, data) in enumerate(lines, 1)]
    return "".join(f"id: {event['id']}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def test_a_rate_counts_the_images_of_both_data_sets_and_leaves_out_what_is_gone(scripted: ScriptedService, impatient: Transport) -> None:
    elements = {"kind": "patches", "images_per_class": 10}
    of_job = {"kind": "score", "elements": elements}
    jobs = [
        {"id": f"job_{number}", "dataset": dataset, **of_job} for number, dataset in enumerate(("dst_gone", "dst_gone", "dst_1", "dst_1"))
    ]
    scripted.answer("GET /v1/jobs?limit=100&state=succeeded", (200, {"data": jobs, "has_more": False}))
    missing = {"status": 404, "code": "not_found", "detail": "There is no data set dst_gone.", "request_id": "req_1", "errors": []}
    scripted.answer("GET /v1/datasets/dst_gone", (404, missing))
    for dataset in ("dst_1", "dst_2"):
        scripted.answer(f"GET /v1/datasets/{dataset}", (200, ROW))
    for gone in ("job_0", "job_1"):
        scripted.answer(f"GET /v1/jobs/{gone}/events", (200, stream_of(("extract", 900.0, None), ("heads", 900.0, None))))
    scripted.answer(
        "GET /v1/jobs/job_2/events", (200, stream_of(("extract", 268.0, None), ("extract", 268.0, "dst_2"), ("heads", 2.0, None)))
    )
    scripted.answer("GET /v1/jobs/job_3/events", (200, stream_of(("heads", 4.0, None))))
    with IISClient(transport=impatient) as client:
        rate = measured_rate(client)
    seen = 34 + 10 + (10 + 4) * 16
    assert rate == Rate(2, pytest.approx(2 * 268.0 / (2 * seen)), 3.0)
    assert scripted.times("GET /v1/datasets/dst_gone") == 1
