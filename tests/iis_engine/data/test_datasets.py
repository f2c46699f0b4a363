"""Reading class folders: splits, digests and order depend on contents and the seed alone."""

from __future__ import annotations

import random
import shutil
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from iis_engine.data.datasets import imbalance, read_image_folder
from iis_engine.data.decoding.images import load_image
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.errors import DataError

ImageFolder = Callable[..., Path]


def contents(dataset: ImageDataset) -> dict[str, list[bytes]]:
    return {split: [image.path.read_bytes() for image in getattr(dataset, split)] for split in ("train", "test")}


def test_train_and_test_folders_are_the_splits(image_folder: ImageFolder) -> None:
    image_folder({"cat": 4, "dog": 3}, under="train")
    dataset = read_image_folder(image_folder({"dog": 2, "cat": 1}, under="test"))
    assert dataset.class_names == ("cat", "dog")
    assert Counter(label for _, label in dataset.train) == {0: 4, 1: 3}
    assert Counter(label for _, label in dataset.test) == {0: 1, 1: 2}
    assert dataset.counts == {"classes": 2, "train": 7, "test": 3, "corrupt": 0, "ignored": 0}


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Test"])
def test_a_validation_folder_is_the_test_split(name: str, image_folder: ImageFolder) -> None:
    image_folder({"cat": 4, "dog": 3}, under="train")
    assert len(read_image_folder(image_folder({"cat": 1, "dog": 1}, under=name)).test) == 2


def test_the_validation_folder_is_left_out_with_a_warning_if_there_is_a_test_folder(image_folder: ImageFolder) -> None:
    for under, count in (("train", 4), ("test", 2), ("val", 1)):
        root = image_folder({"cat": count, "dog": count}, under=under)
    dataset = read_image_folder(root)
    assert len(dataset.test) == 4
    assert "val was left out" in dataset.warnings[0]


def test_class_folders_without_splits_are_split_by_class_with_the_requested_share(image_folder: ImageFolder) -> None:
    dataset = read_image_folder(image_folder({"cat": 10, "dog": 30}), test_share=0.2)
    assert Counter(label for _, label in dataset.test) == {0: 2, 1: 6}
    assert len(dataset.train) == 32


def test_a_wrapping_folder_and_a_train_folder_without_a_test_folder_are_entered(image_folder: ImageFolder) -> None:
    dataset = read_image_folder(image_folder({"cat": 5, "dog": 5}, under="my-data/version-2/train"))
    assert (len(dataset.train), len(dataset.test)) == (8, 2)


def test_a_class_may_be_called_train(image_folder: ImageFolder) -> None:
    dataset = read_image_folder(image_folder({"train": 5, "bus": 5}))
    assert dataset.class_names == ("bus", "train")


def test_renaming_and_shuffling_files_changes_neither_split_nor_order_nor_digest(image_folder: ImageFolder) -> None:
    root = image_folder({"cat": 12, "dog": 12})
    renamed = root.parent / "renamed" / "inner"
    for folder in root.iterdir():
        files = sorted(folder.iterdir())
        random.Random(1).shuffle(files)
        for index, file in enumerate(files):
            target = renamed / folder.name / f"part{index % 2}" / f"renamed-{index}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    first, second = read_image_folder(root, split_seed=3), read_image_folder(renamed.parent, split_seed=3)
    assert contents(first) == contents(second)
    assert first.digest == second.digest
    assert first.train_digests == second.train_digests


def test_another_seed_gives_another_split_and_another_digest(image_folder: ImageFolder) -> None:
    root = image_folder({"cat": 20, "dog": 20})
    first, second = read_image_folder(root, split_seed=0), read_image_folder(root, split_seed=1)
    assert set(contents(first)["test"]) != set(contents(second)["test"])
    assert first.digest != second.digest


def test_the_digest_depends_on_contents_class_names_and_split(image_folder: ImageFolder) -> None:
    image_folder({"cat": 3, "dog": 3}, under="train")
    root = image_folder({"cat": 2, "dog": 2}, under="test")
    digests = {read_image_folder(root).digest}
    (root / "train" / "cat" / "0000.png").rename(root / "test" / "cat" / "moved.png")
    digests.add(read_image_folder(root).digest)
    for split in ("train", "test"):
        (root / split / "cat").rename(root / split / "lion")
    digests.add(read_image_folder(root).digest)
    shutil.copy(root / "train" / "dog" / "0000.png", root / "train" / "lion" / "other.png")
    digests.add(read_image_folder(root).digest)
    assert len(digests) == 4


def test_files_that_are_not_images_are_counted_and_links_that_leave_the_folder_are_ignored(image_folder: ImageFolder) -> None:
    root = image_folder({"cat": 5, "dog": 5})
    (root / "cat" / "notes.txt").write_text("x")
    (root / "labels.csv").write_text("x")
    outside = root.parent / "outside.png"
    shutil.copy(root / "cat" / "0000.png", outside)
    (root / "dog" / "link.png").symlink_to(outside)
    dataset = read_image_folder(root)
    assert dataset.counts["ignored"] == 3
    assert len(dataset.train) + len(dataset.test) == 10


def test_a_corrupt_file_is_named_counted_and_left_out(image_folder: ImageFolder) -> None:
    root = image_folder({"cat": 60, "dog": 60}, size=8)
    (root / "dog" / "0007.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    dataset = read_image_folder(root)
    assert dataset.corrupt == ("dog/0007.png",)
    assert len(dataset.train) + len(dataset.test) == 119
    assert "1 of 120 images are corrupt" in dataset.warnings[0]
    assert "dog/0007.png" in dataset.warnings[0]


def test_more_than_one_percent_of_corrupt_files_are_refused_and_the_first_are_named(image_folder: ImageFolder) -> None:
    root = image_folder({"cat": 50, "dog": 50}, size=8)
    for index in (1, 2, 3):
        (root / "cat" / f"000{index}.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"3 of 100 images cannot be decoded.*cat/0001\.png, cat/0002\.png") as caught:
        read_image_folder(root)
    assert caught.value.code == "dataset_corrupt"


def test_one_class_is_refused(image_folder: ImageFolder) -> None:
    with pytest.raises(DataError, match=r"one class \(cat\)"):
        read_image_folder(image_folder({"cat": 5}))


def test_a_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images in class folders"):
        read_image_folder(tmp_path)


def test_a_class_without_a_test_image_is_refused_by_name(image_folder: ImageFolder) -> None:
    image_folder({"cat": 5, "dog": 5, "emu": 5}, under="train")
    with pytest.raises(DataError, match=r"1 of 3 classes have no test image: emu"):
        read_image_folder(image_folder({"cat": 1, "dog": 1}, under="test"))


def test_a_class_that_is_only_in_the_test_split_is_refused_by_name(image_folder: ImageFolder) -> None:
    image_folder({"cat": 5, "dog": 5}, under="train")
    with pytest.raises(DataError, match=r"1 of 3 classes have no train image: emu"):
        read_image_folder(image_folder({"cat": 1, "dog": 1, "emu": 1}, under="test"))


def test_a_class_of_one_image_cannot_be_split(image_folder: ImageFolder) -> None:
    with pytest.raises(DataError, match="no test image: dog"):
        read_image_folder(image_folder({"cat": 5, "dog": 1}))


def test_images_in_both_splits_give_a_warning(image_folder: ImageFolder) -> None:
    image_folder({"cat": 3, "dog": 3}, under="train")
    root = image_folder({"cat": 1, "dog": 1}, under="test")
    shutil.copy(root / "train" / "cat" / "0000.png", root / "test" / "cat" / "again.png")
    assert "1 images of the test split are also in the train split" in read_image_folder(root).warnings[0]


def test_a_saved_data_set_is_loaded_under_another_root(image_folder: ImageFolder, tmp_path: Path) -> None:
    root = image_folder({"cat": 5, "dog": 5})
    (root / "cat" / "notes.txt").write_text("x")
    dataset = read_image_folder(root)
    dataset.save(tmp_path / "dataset.json")
    shutil.move(root, tmp_path / "moved")
    loaded = ImageDataset.load(tmp_path / "dataset.json", tmp_path / "moved")
    assert loaded.train[0].path.is_file()
    assert (loaded.digest, loaded.counts, loaded.train_digests) == (dataset.digest, dataset.counts, dataset.train_digests)


def test_the_real_flowers_are_read_completely(shared_data: Path) -> None:
    dataset = read_image_folder(shared_data / "flowers17")
    assert dataset.counts == {"classes": 9, "train": 504, "test": 216, "corrupt": 0, "ignored": 0}


def write_sixteen_bits(root: Path, highest: int, colour: bool = False) -> Path:
    rng = np.random.default_rng(0)
    for name, index in product(("cat", "dog"), range(6)):
        (root / name).mkdir(parents=True, exist_ok=True)
        path = root / name / f"{index}.png"
        if colour:
            path.write_bytes(sixteen_bit_png(rng.integers(0, highest + 1, (6, 6, 3))))
        else:
            Image.fromarray(rng.integers(0, (highest if index else highest // 3) + 1, (6, 6)).astype(np.uint16)).save(path)
    return root


def sixteen_bit_png(values: NDArray[np.int64]) -> bytes:
    """A PNG of 16-bit RGB values, which Pillow cannot write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_all_sixteen_bit_images_of_a_data_set_are_scaled_alike_with_a_warning(tmp_path: Path) -> None:
    dataset = read_image_folder(write_sixteen_bits(tmp_path / "set", 4095))
    assert dataset.grey_bits == 12
    assert "12 16-bit grey images use only the lowest 12 of their 16 bits" in dataset.warnings[0]
    dim = tmp_path / "set" / "cat" / "0.png"
    stored = np.asarray(Image.open(dim)).astype(int)
    assert (np.asarray(load_image(dim, dataset.grey_bits))[..., 0] == stored >> 4).all()
    dataset.save(tmp_path / "dataset.json")
    assert ImageDataset.load(tmp_path / "dataset.json", dataset.root) == dataset


def test_sixteen_bit_images_that_use_all_bits_need_no_warning(tmp_path: Path) -> None:
    dataset = read_image_folder(write_sixteen_bits(tmp_path, 65535))
    assert (dataset.grey_bits, dataset.warnings) == (16, ())


def test_sixteen_bit_colour_images_that_would_be_black_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="12 colour images with 16 bits per channel use at most the lowest 8 of them"):
        read_image_folder(write_sixteen_bits(tmp_path, 255, colour=True))
    assert read_image_folder(write_sixteen_bits(tmp_path, 65535, colour=True)).warnings == ()


def test_images_that_fail_are_counted_by_reason(image_folder: ImageFolder) -> None:
    root = image_folder({"cat": 200, "dog": 200}, size=8)
    for index in range(2):
        Image.fromarray(np.ones((2, 2), np.float32)).save(root / "cat" / f"{index:04d}.png", "TIFF")
    (root / "dog" / "0000.png").write_bytes(b"\0\0\0\x18ftypheic")
    reasons = read_image_folder(root).corrupt_reasons
    assert list(reasons.values()) == [2, 1]
    assert "floating point" in next(iter(reasons))
    (root / "dog" / "0001.png").write_bytes(b"\0\0\0\x18ftypheic")
    (root / "dog" / "0002.png").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(DataError, match=r"3: is not an image of a supported format .* but a HEIC file; .*2: has floating point"):
        read_image_folder(root)


@pytest.mark.parametrize(("counts", "dominant"), [((95, 20), True), ((70, 30), False), ((60, 20, 20), True), ((40, 30, 30), False)])
def test_a_class_with_most_of_the_training_images_gives_a_warning(counts: tuple[int, ...], dominant: bool) -> None:
    found = imbalance(Counter(dict(zip("abc", counts, strict=False))))
    assert bool(found) == dominant
    assert all("'a' has " in sentence for sentence in found)


def test_an_image_in_two_classes_gives_a_warning(image_folder: ImageFolder) -> None:
    root = image_folder({"cat": 5, "dog": 5})
    shutil.copy(root / "cat" / "0000.png", root / "dog" / "copy.png")
    assert "1 images are in more than one class, such as cat, dog." in read_image_folder(root).warnings
