"""Open data sets from an upload, a server folder or the Hub, and describe them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from worker.sandbox.messages import JsonObject
from worker.stages.files import IMAGES_FOLDER, READING
from worker.stages.specs import DatasetRequest

if TYPE_CHECKING:
    from iis_engine.data.image_dataset import ImageDataset, LabelledImage
    from iis_engine.data.labels.manifests import ManifestChoice
    from iis_engine.errors import DataError
    from iis_engine.features.feature_set import FeatureSet
    from iis_engine.progress import ProgressCallback

CORRUPT_NAMES_LISTED = 100


def open_features(request: DatasetRequest) -> FeatureSet:
    """Read the ready matrices of a `features` data set."""
    from iis_engine.features.feature_set import read_features

    path = request.file or request.server_path
    if path is None:
        raise ValueError("A features data set needs a file or a server path.")
    return read_features(Path(path), test_share=request.test_share, split_seed=request.split_seed)


def open_unchanged_features(request: DatasetRequest) -> FeatureSet:
    """Read ready matrices for a job; refuse a file on the server that was replaced since its validation.

    Raises
    ------
    DataError
        With code `dataset_changed`.
    """
    features = open_features(request)
    if request.server_path is not None and request.digest != digest_of_features(features):
        raise _changed("features")
    return features


def digest_of_features(features: FeatureSet) -> str:
    """sha256 over class names, shapes and values."""
    digest = hashlib.sha256("\n".join(features.class_names).encode())
    for name in ("X_train", "y_train", "X_test", "y_test", "elements", "labels_train", "labels_test"):
        tensor = getattr(features, name)
        if tensor is not None:
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def read_images(workspace: Path, request: DatasetRequest, progress: ProgressCallback) -> ImageDataset:
    """Unpack the images, check each, and write dataset.json to the workspace.

    Where dataset.json of the same upload is in the workspace, images are not checked again.

    Raises
    ------
    DataError
        With code `dataset_changed` where the images are not those that were validated.
    """
    from iis_engine.data.datasets import read_image_folder
    from iis_engine.data.image_dataset import ImageDataset

    root = _root(workspace, request)
    checked = (workspace / READING).exists()
    if request.hub is not None:
        dataset = _read_hub(root, request.hub, request, progress)
    else:
        if request.file is not None and not root.exists():
            unpack_into(Path(request.file), root)
        if checked:
            return ImageDataset.load(workspace / READING, root)
        dataset = read_image_folder(
            root, manifest=_manifest(request), test_share=request.test_share, split_seed=request.split_seed, progress=progress
        )
    if request.digest not in (None, dataset.digest):
        raise _changed("images")
    dataset.save(workspace / READING)
    return dataset


def open_images(workspace: Path, request: DatasetRequest) -> ImageDataset:
    """Open the images that `read_images` unpacked in the workspace."""
    from iis_engine.data.image_dataset import ImageDataset

    return ImageDataset.load(workspace / READING, _root(workspace, request))


def describe_images(dataset: ImageDataset) -> JsonObject:
    """Classes, counts, corrupt files, warnings and notes, as the API returns them."""
    sets = {"train": dataset.train_labels, "test": dataset.test_labels}
    counts = {
        split: _per_class(chain.from_iterable(sets[split] or [(image.label,) for image in images]), dataset.class_names)
        for split, images in _splits(dataset)
    }
    return {
        **({"task": "multi_label"} if dataset.is_multi_label else {}),
        "class_names": list(dataset.class_names),
        **{split: len(images) for split, images in _splits(dataset)},
        "counts": counts,
        "corrupt_count": len(dataset.corrupt),
        "corrupt": list(dataset.corrupt[:CORRUPT_NAMES_LISTED]),
        "corrupt_reasons": dataset.corrupt_reasons,
        "ignored_count": dataset.ignored_count,
        "warnings": list(dataset.warnings),
        "notes": list(dataset.notes),
    }


def describe_features(features: FeatureSet) -> JsonObject:
    """Classes, counts, width, warnings and notes, as the API returns them."""
    labels = {"train": features.y_train.tolist(), "test": features.y_test.tolist()}
    if features.labels_train is not None and features.labels_test is not None:
        matrices = {"train": features.labels_train, "test": features.labels_test}
        labels = {split: matrix.nonzero()[:, 1].tolist() for split, matrix in matrices.items()}
    return {
        **({"task": "multi_label"} if features.is_multi_label else {}),
        "class_names": list(features.class_names),
        "train": len(features.y_train),
        "test": len(features.y_test),
        "counts": {split: _per_class(values, features.class_names) for split, values in labels.items()},
        "num_features": features.X_train.shape[1],
        "element_count": 0 if features.elements is None else len(features.elements),
        "warnings": list(features.warnings),
        "notes": list(features.notes),
    }


def _splits(dataset: ImageDataset) -> list[tuple[str, Sequence[LabelledImage]]]:
    return [("train", dataset.train), ("test", dataset.test)]


def _per_class(labels: Iterable[int], class_names: Sequence[str]) -> dict[str, int]:
    counts = Counter(labels)
    return {name: counts[label] for label, name in enumerate(class_names)}


def _changed(content: str) -> DataError:
    from iis_engine.errors import DataError

    return DataError(
        f"The {content} have changed since the data set was validated; create a new data set from them.", code="dataset_changed"
    )


def _manifest(request: DatasetRequest) -> ManifestChoice | None:
    """The chosen table of images; None for class folders, or a table that is recognised."""
    from iis_engine.data.labels.manifests import ManifestChoice

    if request.manifest is None:
        return None
    file = None if request.manifest_file is None else Path(request.manifest_file)
    columns = {role: column for role in ("path", "label", "split") if (column := request.manifest.get(f"{role}_column")) is not None}
    return ManifestChoice(file, request.manifest.get("path"), columns)


def _root(workspace: Path, request: DatasetRequest) -> Path:
    return Path(request.server_path) if request.server_path else workspace / IMAGES_FOLDER


def unpack_into(archive: Path, into: Path) -> None:
    """Unpack an archive or a Parquet file of images into a new folder; on failure the folder does not appear."""
    from iis_engine.data.archives.packed_images import unpack_images

    partial = into.with_name(f"{into.name}.partial")
    unpack_images(archive, partial)
    partial.rename(into)


def _read_hub(into: Path, choice: JsonObject, request: DatasetRequest, progress: ProgressCallback) -> ImageDataset:
    from iis_engine.data.hub_datasets import read_hub_dataset

    return read_hub_dataset(
        choice["name"],
        into,
        configuration=choice.get("configuration"),
        revision=choice.get("revision"),
        image_column=choice.get("image_column"),
        label_column=choice.get("label_column"),
        test_share=request.test_share,
        split_seed=request.split_seed,
        progress=progress,
    )
