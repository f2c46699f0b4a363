"""Data sets inside the compute process: from a file, a server folder or the Hub to what the engine reads. No service here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

IMAGES_FOLDER = "images"
UNPACKED_MARK = ".unpacked"


def open_features(request: dict[str, Any]) -> Any:
    """The ready matrices of a `features` data set as a FeatureSet."""
    from iis_engine.features import read_features

    return read_features(Path(request["file"] or request["server_path"]))


def unpack(workspace: Path, request: dict[str, Any], progress: Callable[[int, int], None]) -> None:
    """Make sure that the images lie where `open_images` looks for them."""
    if request["file"] is None or (workspace / UNPACKED_MARK).exists():
        return
    from iis_engine.archives import unpack_archive

    progress(0, 1)
    unpack_archive(Path(request["file"]), workspace / IMAGES_FOLDER)
    (workspace / UNPACKED_MARK).touch()
    progress(1, 1)


def open_images(workspace: Path, request: dict[str, Any]) -> Any:
    """The images of a data set as an ImageDataset, split as the request says."""
    from iis_engine.datasets import read_hub_dataset, read_image_folder

    if request["hub"] is not None:
        choice = {name: value for name, value in request["hub"].items() if value is not None}
        return read_hub_dataset(**choice, test_share=request["test_share"], split_seed=request["split_seed"])
    root = Path(request["server_path"]) if request["server_path"] else workspace / IMAGES_FOLDER
    return read_image_folder(root, test_share=request["test_share"], split_seed=request["split_seed"])
