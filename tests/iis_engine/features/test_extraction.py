"""Feature extraction: the same numbers for every batch size, shard size, interruption and shortage of memory."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from benchmarks.cifar_resnet import export_onnx, load_cifar_resnet
from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.factory import load_backbone
from iis_engine.data.datasets import read_image_folder
from iis_engine.data.decoding.images import load_image
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.errors import DataError, OutOfMemory
from iis_engine.features.canonical_order import in_canonical_order
from iis_engine.features.elements import element_crops
from iis_engine.features.extraction import Extraction, extract_features
from iis_engine.features.feature_set import FeatureSet
from iis_engine.specs import BackboneSpec, ElementKind, ElementSpec, Preprocessing
from support.image_files import write_images, write_text

ImageFolder = Callable[..., Path]


@pytest.fixture(scope="module")
def backbone(tiny_checkpoint: Path) -> Backbone:
    return load_backbone(BackboneSpec("timm:test_resnet", preprocessing=Preprocessing(input_size=64)), tiny_checkpoint, device="cpu")


@pytest.fixture
def dataset(image_folder: ImageFolder) -> ImageDataset:
    image_folder({"cat": 23, "dog": 20}, under="train")
    return read_image_folder(image_folder({"cat": 6, "dog": 5}, under="test"))


@pytest.fixture
def batch_sizes(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches passed to the backbone."""
    sizes = list[int]()
    embed = backbone.embed

    def recording(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        return embed(batch)

    monkeypatch.setattr(backbone, "embed", recording)
    return sizes


def one_by_one(backbone: Backbone, dataset: ImageDataset) -> dict[str, Tensor]:
    return {
        split: torch.cat([backbone.embed(backbone.preprocess(load_image(image.path))[None]) for image in getattr(dataset, split)])
        for split in ("train", "test")
    }


def same(first: FeatureSet, second: FeatureSet, tolerance: float = 1e-4) -> bool:
    pairs = [(getattr(first, name), getattr(second, name)) for name in ("X_train", "X_test", "elements")]
    return all(a is b is None or torch.allclose(a, b, atol=tolerance) for a, b in pairs) and first.element_refs == second.element_refs


def test_features_equal_those_of_single_images_in_the_order_of_the_data_set(
    backbone: Backbone, dataset: ImageDataset, tmp_path: Path
) -> None:
    features = extract_features(backbone, dataset, None, shard_folder=tmp_path / "shards")
    expected = one_by_one(backbone, dataset)
    assert torch.allclose(features.X_train, expected["train"], atol=1e-4)
    assert torch.allclose(features.X_test, expected["test"], atol=1e-4)
    assert features.y_train.tolist() == [image.label for image in dataset.train]
    assert features.y_test.tolist() == [image.label for image in dataset.test]
    assert features.class_names == ("cat", "dog")
    assert features.elements is None
    assert features.train_rows is not None
    assert features.test_rows is not None
    assert features.train_rows.tolist() == list(range(43))
    assert features.test_rows.tolist() == list(range(11))


@pytest.mark.parametrize(("batch_size", "shard_size", "threads"), [(1, 5, 1), (7, 17, 3), (64, 1000, 2), (3, 16, 2)])
def test_batches_shards_and_threads_change_nothing(
    batch_size: int, shard_size: int, threads: int, backbone: Backbone, dataset: ImageDataset, tmp_path: Path
) -> None:
    spec = ElementSpec("patches", images_per_class=2)
    usual = extract_features(backbone, dataset, spec, shard_folder=tmp_path / "usual")
    other = extract_features(
        backbone,
        dataset,
        spec,
        shard_folder=tmp_path / "other",
        batch_size=batch_size,
        shard_size=shard_size,
        decode_threads=threads,
    )
    assert same(usual, other)


@pytest.mark.parametrize("kind", ["patches", "segments", "patches_and_segments"])
def test_each_element_is_the_representation_of_its_own_crop(
    kind: ElementKind, backbone: Backbone, dataset: ImageDataset, tmp_path: Path
) -> None:
    features = extract_features(
        backbone,
        dataset,
        ElementSpec(kind, images_per_class=3, scales=() if kind == "segments" else (4,)),
        shard_folder=tmp_path / "shards",
    )
    assert features.elements is not None
    assert len(features.elements) == len(features.element_refs)
    if kind == "patches":
        assert len(features.element_refs) == 2 * 3 * 16
    for index in range(0, len(features.element_refs), 11):
        ref = features.element_refs[index]
        crop = element_crops(load_image(dataset.train[ref.image].path), [ref])[0]
        expected = backbone.embed(backbone.preprocess_element(crop)[None])[0]
        assert torch.allclose(features.elements[index], expected, atol=1e-4)


def test_elements_are_shuffled_by_the_seed(backbone: Backbone, dataset: ImageDataset, tmp_path: Path) -> None:
    orders = [
        extract_features(backbone, dataset, ElementSpec(images_per_class=23, seed=seed), shard_folder=tmp_path / str(folder)).element_refs
        for folder, seed in enumerate((0, 0, 1))
    ]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert set(orders[0]) == set(orders[2])
    assert list(orders[0]) != sorted(orders[0], key=lambda ref: (ref.image, ref.box))


def test_progress_increases_to_the_number_of_images_and_elements(backbone: Backbone, dataset: ImageDataset, tmp_path: Path) -> None:
    reports = list[tuple[int, int]]()
    extract_features(
        backbone,
        dataset,
        ElementSpec("segments", images_per_class=2),
        shard_folder=tmp_path / "shards",
        progress=lambda done, total: reports.append((done, total)),
        batch_size=8,
    )
    done = [item[0] for item in reports]
    assert {item[1] for item in reports} == {43 + 11 + 4 * 15}
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 43 + 11 + 4 * 15)
    assert len(done) > 5


def test_an_interrupted_run_resumes_from_its_finished_shards(
    backbone: Backbone, dataset: ImageDataset, batch_sizes: list[int], tmp_path: Path
) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(done: int, _total: int) -> None:
        if done >= 25:
            raise Interrupted

    folder = tmp_path / "shards"
    with pytest.raises(Interrupted):
        extract_features(backbone, dataset, None, shard_folder=folder, progress=interrupt, shard_size=10)
    assert sorted(path.name for path in folder.iterdir()) == ["train-00000.safetensors", "train-00001.safetensors"]
    batch_sizes.clear()
    resumed = extract_features(backbone, dataset, None, shard_folder=folder, shard_size=10)
    assert sum(batch_sizes) == 54 - 20
    batch_sizes.clear()
    assert same(resumed, extract_features(backbone, dataset, None, shard_folder=folder, shard_size=10))
    assert batch_sizes == []
    assert torch.allclose(resumed.X_train, one_by_one(backbone, dataset)["train"], atol=1e-4)


def test_damaged_shards_and_shards_of_another_plan_are_recomputed(
    backbone: Backbone, dataset: ImageDataset, batch_sizes: list[int], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "shards"
    first = extract_features(backbone, dataset, None, shard_folder=folder, shard_size=30)
    (folder / "test-00000.safetensors").write_bytes(b"half a fi")
    batch_sizes.clear()
    assert same(first, extract_features(backbone, dataset, None, shard_folder=folder, shard_size=30))
    assert sum(batch_sizes) == 11
    other = load_backbone(BackboneSpec("timm:test_resnet", layer="layer2", preprocessing=Preprocessing(input_size=64)), tiny_checkpoint)
    assert extract_features(other, dataset, None, shard_folder=folder, shard_size=30).X_train.shape[1] == other.num_features
    assert same(first, extract_features(backbone, dataset, None, shard_folder=folder, shard_size=20))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        MemoryError("std::bad_alloc"),
    ],
)
def test_running_out_of_memory_halves_the_batch_size(
    error: Exception, backbone: Backbone, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usual = extract_features(backbone, dataset, None, shard_folder=tmp_path / "usual")
    embed, sizes = backbone.embed, list[int]()

    def small_device(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        if len(batch) > 5:
            raise error
        return embed(batch)

    monkeypatch.setattr(backbone, "embed", small_device)
    assert same(usual, extract_features(backbone, dataset, None, shard_folder=tmp_path / "small", batch_size=32))
    assert sum(size > 5 for size in sizes) == 3  # 32, 16 and 8 each fail once


def test_an_error_is_raised_if_a_single_image_does_not_fit(
    backbone: Backbone, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_device(_batch: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(backbone, "embed", no_device)
    with pytest.raises(OutOfMemory, match="Not even one image fits"):
        extract_features(backbone, dataset, None, shard_folder=tmp_path / "shards")


def test_other_errors_of_the_network_are_raised(
    backbone: Backbone, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(_batch: Tensor) -> Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(backbone, "embed", broken)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        extract_features(backbone, dataset, None, shard_folder=tmp_path / "shards")


def test_an_image_damaged_after_reading_the_data_set_is_named_and_left_out(
    backbone: Backbone, image_folder: ImageFolder, tmp_path: Path
) -> None:
    image_folder({"cat": 60, "dog": 60}, under="train", size=8)
    dataset = read_image_folder(image_folder({"cat": 5, "dog": 5}, under="test", size=8))
    dataset.train[7].path.write_bytes(b"broken")
    features = extract_features(backbone, dataset, ElementSpec(images_per_class=60), shard_folder=tmp_path / "shards")
    assert features.X_train.shape[0] == 119
    assert features.y_train.tolist() == [image.label for index, image in enumerate(dataset.train) if index != 7]
    assert f"1 images could not be decoded and were left out: {dataset.train[7].path.name}" in features.warnings[-1]
    assert 7 not in {ref.image for ref in features.element_refs}
    assert {ref.image for ref in features.element_refs} == set(range(120)) - {7}


def test_test_rows_keep_their_image_index_when_one_is_left_out_and_rows_are_sorted(
    backbone: Backbone, image_folder: ImageFolder, tmp_path: Path
) -> None:
    image_folder({"cat": 50, "dog": 50}, under="train", size=8)
    dataset = read_image_folder(image_folder({"cat": 5, "dog": 5}, under="test", size=8))
    dataset.test[2].path.write_bytes(b"broken")
    features = in_canonical_order(extract_features(backbone, dataset, None, shard_folder=tmp_path / "shards"))
    assert features.test_rows is not None
    assert sorted(features.test_rows.tolist()) == [row for row in range(10) if row != 2]
    for image, expected, label in zip(features.test_rows.tolist(), features.X_test, features.y_test.tolist(), strict=True):
        assert dataset.test[image].label == label
        assert torch.allclose(backbone.embed(backbone.preprocess(load_image(dataset.test[image].path))[None])[0], expected, atol=1e-4)


def test_an_image_too_thin_to_resize_is_named_and_left_out_with_its_elements(
    backbone: Backbone, image_folder: ImageFolder, tmp_path: Path
) -> None:
    root = image_folder({"cat": 60, "dog": 60}, under="train", size=8)
    image_folder({"cat": 5, "dog": 5}, under="test", size=8)
    Image.new("RGB", (1, 30_000)).save(root / "train" / "cat" / "thin.png")
    dataset = read_image_folder(root)
    features = extract_features(backbone, dataset, ElementSpec(images_per_class=61), shard_folder=tmp_path / "shards")
    assert features.X_train.shape[0] == 120
    assert "1 images could not be decoded and were left out: thin.png" in features.warnings[-1]
    thin = next(index for index, image in enumerate(dataset.train) if image.path.name == "thin.png")
    assert {ref.image for ref in features.element_refs} == set(range(121)) - {thin}


def test_more_than_one_percent_of_damaged_images_are_refused(backbone: Backbone, dataset: ImageDataset, tmp_path: Path) -> None:
    dataset.train[3].path.unlink()
    with pytest.raises(DataError, match="1 of 54 images cannot be decoded"):
        extract_features(backbone, dataset, None, shard_folder=tmp_path / "shards")


def test_damaged_images_of_all_processes_count_together(backbone: Backbone, image_folder: ImageFolder, tmp_path: Path) -> None:
    image_folder({"cat": 45, "dog": 45}, under="train", size=8)
    dataset = read_image_folder(image_folder({"cat": 5, "dog": 5}, under="test", size=8))
    for damaged in (dataset.train[3], dataset.train[70]):
        damaged.path.write_bytes(b"broken")
    extraction = Extraction(backbone, dataset, None, shard_folder=tmp_path / "shards", shard_size=50)
    first, *others = [planned.file_name for planned in extraction.plan]
    extraction.compute([first])
    extraction.compute(others)
    assert extraction.missing() == []
    with pytest.raises(DataError, match="2 of 100 images cannot be decoded, more than the 1 % allowed") as refused:
        extraction.assemble()
    assert refused.value.code == "dataset_corrupt"


def test_multi_label_features_without_some_rows_are_loaded_with_the_same_stratification(backbone: Backbone, tmp_path: Path) -> None:
    sets = {"train": ["cat"] * 30 + ["dog"] * 30 + ["cat|dog"] * 20 + ["hat"] * 20, "validation": ["dog"] * 3}
    sets["test"] = ["cat", "dog", "hat"] * 3 + ["cat|dog"]
    rows = [(f"{split}{number}.png", labels, split) for split, each in sets.items() for number, labels in enumerate(each)]
    root = write_images(tmp_path / "set", [f"images/{name}" for name, _, _ in rows])
    write_text(root, "labels.csv", ["path,labels,split", *map(",".join, rows)])
    dataset = read_image_folder(root)
    (root / "images" / "train30.png").write_bytes(b"broken")  # a dog
    features = extract_features(backbone, dataset, None, shard_folder=tmp_path / "shards")
    assert features.labels_train is not None
    assert features.labels_train.sum(dim=0).tolist() == [50, 49, 20]
    both = features.labels_train[:, :2].bool().all(dim=1)
    assert set(features.y_train[both].tolist()) == {1}  # 54 cats, 53 dogs; with the four rows that are left out, 54 and 57
    features.save(tmp_path / "features.safetensors")
    again = FeatureSet.load(tmp_path / "features.safetensors")
    for field in fields(FeatureSet):
        before, after = getattr(features, field.name), getattr(again, field.name)
        assert torch.equal(before, after) if isinstance(before, Tensor) else before == after, field.name


def test_a_representation_that_is_not_finite_names_its_image(
    backbone: Backbone, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    embed = backbone.embed

    def overflowing(batch: Tensor) -> Tensor:
        features = embed(batch)
        features[2, 0] = math.inf
        return features

    monkeypatch.setattr(backbone, "embed", overflowing)
    with pytest.raises(DataError, match=dataset.train[2].path.name):
        extract_features(backbone, dataset, None, shard_folder=tmp_path / "shards", batch_size=100)


def test_warnings_of_the_data_set_are_kept(backbone: Backbone, image_folder: ImageFolder, tmp_path: Path) -> None:
    image_folder({"cat": 3, "dog": 3}, under="train")
    root = image_folder({"cat": 1, "dog": 1}, under="test")
    shutil.copy(root / "train" / "cat" / "0000.png", root / "test" / "cat" / "again.png")
    dataset = read_image_folder(root)
    assert extract_features(backbone, dataset, None, shard_folder=tmp_path / "shards").warnings == dataset.warnings


def test_saved_features_are_loaded_unchanged(backbone: Backbone, dataset: ImageDataset, tmp_path: Path) -> None:
    features = extract_features(backbone, dataset, ElementSpec(images_per_class=2), shard_folder=tmp_path / "shards")
    features.save(tmp_path / "features.safetensors")
    again = FeatureSet.load(tmp_path / "features.safetensors")
    assert same(features, again, tolerance=0)
    for before, after in ((features.train_rows, again.train_rows), (features.test_rows, again.test_rows)):
        assert before is not None
        assert after is not None
        assert torch.equal(before, after)


@pytest.mark.filterwarnings("ignore")
def test_a_linear_probe_classifies_the_features_of_a_real_network(shared_data: Path, tmp_path: Path) -> None:
    for split, count in (("train", 50), ("test", 20)):
        for folder in sorted((shared_data / "cifar10" / split).iterdir()):
            target = tmp_path / "cifar" / split / folder.name
            target.mkdir(parents=True)
            for path in sorted(folder.iterdir())[:count]:
                shutil.copy(path, target)
    network = load_cifar_resnet(shared_data / "weights" / "cifar10_resnet32.safetensors", 32)
    export_onnx(network, tmp_path / "resnet32.onnx")
    dataset = read_image_folder(tmp_path / "cifar")
    features = extract_features(load_backbone(BackboneSpec("onnx"), tmp_path / "resnet32.onnx"), dataset, None, shard_folder=tmp_path / "s")
    probe = LogisticRegression(max_iter=1000, C=0.1).fit(features.X_train.numpy(), features.y_train.numpy())
    assert probe.score(features.X_test.numpy(), features.y_test.numpy()) > 0.78
