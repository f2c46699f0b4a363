"""Data sets inside the compute process: from a file, a server folder or the Hub to what the engine reads. No service here."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from iis_engine.progress import ProgressCallback
from worker.stages.files import IMAGES_FOLDER, READING
from worker.stages.specs import DatasetRequest

NAMED_CORRUPT = 100


def open_features(request: DatasetRequest) -> Any:
    """The ready matrices of a `features` data set as a FeatureSet."""
    from iis_engine.features.feature_set import read_features

    path = request.file or request.server_path
    if path is None:
        raise ValueError("A features data set needs a file or a server path.")
    return read_features(Path(path))


def open_unchanged_features(request: DatasetRequest) -> Any:
    """The same for a job, which must score what was checked: a file on the server may have been replaced since, an upload cannot."""
    from iis_engine.errors import DataError

    features = open_features(request)
    if request.server_path is not None and request.digest != digest_of_features(features):
        raise DataError("The features have changed since the data set was made; make a new data set of them.", code="dataset_changed")
    return features


def digest_of_features(features: Any) -> str:
    """sha256 over names and numbers."""
    digest = hashlib.sha256("\n".join(features.class_names).encode())
    for name in ("X_train", "y_train", "X_test", "y_test", "elements"):
        tensor = getattr(features, name)
        if tensor is not None:
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def read_images(workspace: Path, request: DatasetRequest, progress: ProgressCallback) -> Any:
    """Unpack and check every image, and leave the reading in the workspace; returns the ImageDataset.

    A reading that lies there already, made from the same upload, spares the check.
    """
    from iis_engine.data.datasets import ImageDataset, read_image_folder
    from iis_engine.errors import DataError

    root = _root(workspace, request)
    known = (workspace / READING).exists()
    if request.hub is not None:
        dataset = _read_hub(root, request.hub, request, progress)
    else:
        if request.file is not None and not root.exists():
            unpack_into(Path(request.file), root)
        if known:
            return ImageDataset.load(workspace / READING, root)
        dataset = read_image_folder(root, test_share=request.test_share, split_seed=request.split_seed, progress=progress)
    if request.digest not in (None, dataset.digest):
        raise DataError("The images have changed since the data set was made; make a new data set of them.", code="dataset_changed")
    dataset.save(workspace / READING)
    return dataset


def open_images(workspace: Path, request: DatasetRequest) -> Any:
    """The ImageDataset that `read_images` left in the workspace."""
    from iis_engine.data.datasets import ImageDataset

    return ImageDataset.load(workspace / READING, _root(workspace, request))


def describe_images(dataset: Any) -> dict[str, Any]:
    """What a person should know about a data set of images."""
    counts = {split: _per_class((image.label for image in images), dataset.class_names) for split, images in _splits(dataset)}
    return {
        "class_names": list(dataset.class_names),
        **{split: len(images) for split, images in _splits(dataset)},
        "counts": counts,
        "corrupt_count": len(dataset.corrupt),
        "corrupt": list(dataset.corrupt[:NAMED_CORRUPT]),
        "ignored_count": dataset.ignored_count,
        "warnings": list(dataset.warnings),
    }


def describe_features(features: Any) -> dict[str, Any]:
    """What a person should know about ready matrices."""
    labels = {"train": features.y_train.tolist(), "test": features.y_test.tolist()}
    return {
        "class_names": list(features.class_names),
        **{split: len(values) for split, values in labels.items()},
        "counts": {split: _per_class(values, features.class_names) for split, values in labels.items()},
        "num_features": features.X_train.shape[1],
        "element_count": 0 if features.elements is None else len(features.elements),
        "warnings": list(features.warnings),
    }


def _splits(dataset: Any) -> list[tuple[str, Any]]:
    return [("train", dataset.train), ("test", dataset.test)]


def _per_class(labels: Any, class_names: Any) -> dict[str, int]:
    found = Counter(labels)
    return {name: found[label] for label, name in enumerate(class_names)}


def _root(workspace: Path, request: DatasetRequest) -> Path:
    return Path(request.server_path) if request.server_path else workspace / IMAGES_FOLDER


def unpack_into(archive: Path, into: Path) -> None:
    """Unpack an archive into a new folder, which appears whole or not at all."""
    from iis_engine.data.archives import unpack_archive

    partial = into.with_name(f"{into.name}.partial")
    unpack_archive(archive, partial)
    partial.rename(into)


def _read_hub(into: Path, choice: dict[str, Any], request: DatasetRequest, progress: ProgressCallback) -> Any:
    from iis_engine.data.hub_datasets import read_hub_dataset

    return read_hub_dataset(
        choice["name"],
        into,
        configuration=choice.get("configuration"),
        revision=choice.get("revision"),
        test_share=request.test_share,
        split_seed=request.split_seed,
        progress=progress,
    )
