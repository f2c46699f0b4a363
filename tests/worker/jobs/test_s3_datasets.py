"""Data sets below an S3 prefix: a worker copies them, and the confined process reads them as a folder."""

from __future__ import annotations

import pytest

from support.image_files import png_bytes
from support.s3_server import S3Server
from support.worker_service import Service

PREFIX = "s3://bucket/pets"
NUMBERS = range(20)
ROWS = ["file,coat,part", *(f"images/{n:02d}.png,{('cat', 'dog')[n % 2]},{'test' if n >= 14 else 'train'}" for n in NUMBERS)]


@pytest.fixture
def pets(service: Service, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A manifest beside twenty images, and a service that may read them."""
    folder = s3_server.folder / "bucket" / "pets"
    (folder / "images").mkdir(parents=True)
    for number in NUMBERS:
        (folder / "images" / f"{number:02d}.png").write_bytes(png_bytes(number))
    (folder / "labels.csv").write_text("\n".join(ROWS))
    monkeypatch.setattr(service.runtime.settings, "server_dataset_prefixes", [PREFIX])
    monkeypatch.setattr(service.runtime.settings, "s3_endpoint_url", s3_server.url)
    return s3_server


def check(service: Service) -> tuple[str, str]:
    """Validate the data set; return its id and the job's."""
    manifest = {"path": "labels.csv", "label_column": "coat", "split_column": "part"}
    dataset_id = service.add_dataset(None, kind="images", server_path=PREFIX, manifest=manifest)
    job_id = service.add_job("check_dataset", dataset_id)
    service.run(job_id)
    return dataset_id, job_id


@pytest.mark.slow
def test_a_manifest_below_a_prefix_labels_its_images_and_a_job_scores_them(service: Service, pets: S3Server) -> None:
    dataset_id, job_id = check(service)
    dataset = service.dataset(dataset_id)
    assert dataset.state == "ready", service.error_of(job_id)
    assert (dataset.info or {})["counts"] == {"train": {"cat": 7, "dog": 7}, "test": {"cat": 3, "dog": 3}}
    model = service.add_tiny_model()
    assert service.run(service.add_job("check_model", None, model_id=model)) == "succeeded"
    scored = service.add_score(dataset_id, model, library={"kind": "random", "concept_count": 6, "parts": []})
    assert service.run(scored) == "succeeded", service.error_of(scored)

    (pets.folder / "bucket/pets/images/00.png").write_bytes(png_bytes("another image"))
    elements = {"kind": "patches", "images_per_class": 3, "seed": 0, "scales": [2]}
    changed = service.add_score(dataset_id, model, elements=elements)
    assert service.run(changed) == "failed"
    assert service.error_of(changed)["code"] == "dataset_changed"


def test_a_prefix_that_is_no_longer_allowed_or_absent_fails_without_retry(
    service: Service, pets: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.runtime.settings, "server_dataset_prefixes", [])
    assert service.error_of(check(service)[1])["code"] == "server_path_not_allowed"
    monkeypatch.setattr(service.runtime.settings, "server_dataset_prefixes", [PREFIX])
    (pets.folder / "bucket/pets").rename(pets.folder / "bucket/moved")
    error = service.error_of(check(service)[1])
    assert (error["code"], "There is nothing at s3://bucket/pets" in error["message"]) == ("server_path_unreadable", True)
