"""Parquet files with encoded images and WebDataset shards: unpacked as images with their classes and splits."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import datasets as hub
import pyarrow
import pyarrow.parquet
import pytest

from iis_engine.data.archives.packed_images import unpack_images
from iis_engine.data.archives.unpacking import ArchiveLimits
from iis_engine.data.datasets import read_image_folder
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.errors import DataError
from support.image_files import png_bytes


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def parquet(columns: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pydict(columns), buffer)
    return buffer.getvalue()


def read(archive: Path) -> ImageDataset:
    into = archive.parent / "unpacked"
    unpack_images(archive, into)
    return read_image_folder(into)


def test_a_parquet_file_of_the_hubs_library_keeps_class_names_and_bytes(tmp_path: Path) -> None:
    rows = {"img": [{"bytes": png_bytes(n), "path": f"{n}.png"} for n in range(10)], "fine_label": [0, 1] * 5}
    features = hub.Features({"img": hub.Image(), "fine_label": hub.ClassLabel(names=["tabby", "pug"])})
    hub.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "a.parquet")
    dataset = read(tmp_path / "a.parquet")
    assert dataset.class_names == ("pug", "tabby")
    assert {image.path.read_bytes() for image in (*dataset.train, *dataset.test)} == {png_bytes(n) for n in range(10)}


def test_parquet_files_of_splits_in_an_archive_are_read_with_their_splits(tmp_path: Path) -> None:
    def table(count: int, first: int) -> bytes:
        return parquet(
            {"image": [png_bytes(first + n) for n in range(count)], "label": ["cat", "dog"] * (count // 2), "id": list(range(count))}
        )

    files = {"data/train-00000-of-00002.parquet": table(6, 0), "data/train-00001-of-00002.parquet": table(4, 10)}
    files |= {"data/validation-00000-of-00001.parquet": table(4, 20), "README.md": b"x"}
    dataset = read(write_tar(tmp_path / "a.tar", files))
    assert (len(dataset.train), len(dataset.test)) == (10, 4)
    assert dataset.class_names == ("cat", "dog")


@pytest.mark.parametrize("kind", ["text", "classes", "joined"])
def test_parquet_files_with_several_labels_per_image_are_multi_label_data(kind: str, tmp_path: Path) -> None:
    names = ["sky", "tree, or bush", "bird"]
    numbers = {"train": [[0, 1], [0], [2, 1], [1], [2]], "test": [[0, 1], [2]]}
    if kind != "joined":
        numbers["train"].append([])
    files = dict[str, bytes]()
    for place, (split, rows) in enumerate(numbers.items()):
        images = [{"bytes": png_bytes(10 * place + n), "path": f"{n}.png"} for n in range(len(rows))]
        labels: list[Any] = [[names[number] for number in row] for row in rows]
        table: dict[str, Any] = {"image": images, "labels": ["|".join(row) for row in labels] if kind == "joined" else labels}
        path = tmp_path / "table.parquet"
        if kind == "classes":
            features = hub.Features({"image": hub.Image(), "labels": hub.List(hub.ClassLabel(names=names))})
            hub.Dataset.from_dict(table | {"labels": rows}, features=features).to_parquet(path)
        else:
            path.write_bytes(parquet(table))
        files[f"{split}-00000-of-00001.parquet"] = path.read_bytes()
    dataset = read(write_tar(tmp_path / "a.tar", files))
    assert dataset.is_multi_label
    assert dataset.class_names == ("bird", "sky", "tree, or bush")
    without_any = [()] if kind != "joined" else []
    assert sorted(dataset.train_labels or ()) == [*without_any, (0,), (0, 2), (1,), (1, 2), (2,)]
    assert sorted(dataset.test_labels or ()) == [(0,), (1, 2)]


def test_lists_of_one_label_each_in_parquet_are_classes(tmp_path: Path) -> None:
    rows = {"image": [png_bytes(n) for n in range(8)], "labels": [["cat"], ["dog"]] * 4}
    (tmp_path / "a.parquet").write_bytes(parquet(rows))
    dataset = read(tmp_path / "a.parquet")
    assert (dataset.is_multi_label, dataset.class_names) == (False, ("cat", "dog"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": [b"x"], "width": [1.0]}, "has no column of labels"),
        ({"path": ["a.png"], "label": [1]}, "has no column of encoded images; it has path, label"),
        ({"image": [b"x", b"y"], "label": ["a/b", "a:b"]}, "become the same folder"),
    ],
)
def test_a_parquet_file_without_images_or_labels_is_refused(columns: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(parquet(columns))
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.parquet")


def test_images_in_parquet_count_towards_the_limit(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(parquet({"image": [bytes(600)] * 2, "label": ["a", "b"]}))
    with pytest.raises(DataError, match="more than the 1,000 bytes of images allowed"):
        unpack_images(tmp_path / "a.parquet", tmp_path / "unpacked", ArchiveLimits(total_bytes=1000))


def test_a_small_parquet_file_of_many_or_large_images_is_refused(tmp_path: Path) -> None:
    many = parquet({"image": [b"x"] * 3000, "label": ["a", "b"] * 1500})
    (tmp_path / "many.parquet").write_bytes(many)
    with pytest.raises(DataError, match="more than the 2,000 images allowed"):
        unpack_images(tmp_path / "many.parquet", tmp_path / "a", ArchiveLimits(file_count=2000))
    (tmp_path / "large.parquet").write_bytes(parquet({"image": [bytes(1 << 20)] * 80, "label": ["a", "b"] * 40}))
    with pytest.raises(DataError, match="by the size of the file") as refused:
        unpack_images(tmp_path / "large.parquet", tmp_path / "b")
    assert refused.value.code == "archive_bomb"


def test_archives_inside_an_archive_share_its_limit_of_files_and_folders(tmp_path: Path) -> None:
    shards = {
        f"train-{number}.tar": write_tar(tmp_path / "x.tar", {f"{n}.png": b"x" for n in range(40)}).read_bytes() for number in range(3)
    }
    archive = write_tar(tmp_path / "a.tar", shards)
    with pytest.raises(DataError, match="more than the 37 entries allowed"):
        unpack_images(archive, tmp_path / "a", ArchiveLimits(file_count=80))
    deep = write_tar(tmp_path / "deep.tar", {f"{n}/{'d/' * 20}x.png": b"x" for n in range(10)})
    with pytest.raises(DataError, match="more than the 100 entries allowed"):
        unpack_images(deep, tmp_path / "b", ArchiveLimits(file_count=100))


@pytest.mark.parametrize("kind", ["cls", "json"])
def test_a_webdataset_is_read_by_the_labels_beside_its_images(kind: str, tmp_path: Path) -> None:
    def sidecar(label: int) -> bytes:
        return str(label).encode() if kind == "cls" else json.dumps({"label": label, "width": 8}).encode()

    files = {f"{n:06d}.png": png_bytes(n) for n in range(10)} | {f"{n:06d}.{kind}": sidecar(n % 2) for n in range(10)}
    dataset = read(write_tar(tmp_path / "a.tar", files))
    assert dataset.class_names == ("0", "1")
    assert len(dataset.train) + len(dataset.test) == 10


def test_webdataset_shards_in_an_archive_give_the_splits_that_they_are_named_for(tmp_path: Path) -> None:
    shards = dict[str, bytes]()
    for place, name in enumerate(("train-000000", "train-000001", "val-000000")):
        files = {f"{n}.png": png_bytes(10 * place + n) for n in range(4)} | {f"{n}.cls": str(n % 2).encode() for n in range(4)}
        shards[f"{name}.tar"] = write_tar(tmp_path / "shard.tar", files).read_bytes()
    dataset = read(write_tar(tmp_path / "a.tar", shards))
    assert (len(dataset.train), len(dataset.test)) == (8, 4)


def test_a_shard_that_leaves_its_folder_is_refused(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "shard.tar", {"../../evil.png": png_bytes()}).read_bytes()
    with pytest.raises(DataError, match="leaves the archive"):
        read(write_tar(tmp_path / "a.tar", {"train-0.tar": shard}))
    assert not (tmp_path / "evil.png").exists()
