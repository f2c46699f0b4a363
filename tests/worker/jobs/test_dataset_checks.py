"""Validation of data sets by a worker: manifests, layouts and formats of features reach the confined process and come back as info."""

from __future__ import annotations

import io
import tarfile
from typing import Any

from support.image_files import png_bytes
from support.worker_service import Service

NAMES = [f"{number:03d}.png" for number in range(20)]
ROWS = [f"{name},{('cat', 'dog')[number % 2]},{'test' if number >= 14 else 'train'}" for number, name in enumerate(NAMES)]


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def check(service: Service, content: bytes, filename: str = "images.tar", **columns: Any) -> dict[str, Any]:
    """Run the validation of a data set; return its info."""
    dataset_id = service.add_dataset(content, filename, **{"kind": "images", **columns})
    job_id = service.add_job("check_dataset", dataset_id)
    assert service.run(job_id) == "succeeded", service.error_of(job_id)
    return service.dataset(dataset_id).info or {}


def test_a_manifest_in_an_upload_of_its_own_labels_the_images_of_an_archive(service: Service) -> None:
    table = service.add_upload("\n".join(["file,coat,part", *ROWS]).encode(), "table.csv")
    manifest = {"upload": table, "label_column": "coat", "split_column": "part"}
    archive = tar_of({f"images/{name}": png_bytes(name) for name in NAMES})
    info = check(service, archive, manifest=manifest, manifest_upload_id=table)
    assert info["counts"] == {"train": {"cat": 7, "dog": 7}, "test": {"cat": 3, "dog": 3}}
    assert info["notes"] == ["Labels were read from table.csv ('file' as path, 'coat' as label, 'part' as split)."]


def test_reasons_why_images_fail_and_files_left_out_are_in_the_info(service: Service) -> None:
    files = {f"{kind}/{number}.png": png_bytes((kind, number)) for kind in ("cat", "dog") for number in range(60)}
    info = check(service, tar_of({**files, "cat/broken.png": b"\0\0\0\x18ftypheic", "dog/a.heic": b"x", "README.txt": b"x"}))
    assert list(info["corrupt_reasons"].values()) == [1]
    assert "but a HEIC file" in next(iter(info["corrupt_reasons"]))
    assert "1 files have image formats that are not read and were left out (1 .heic)" in " ".join(info["warnings"])
    assert "2 files that are not images of a supported format were left out: 1 .txt, 1 .heic." in info["notes"]
