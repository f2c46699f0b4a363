"""Decide which server folders a stage may read, and whether it gets the network."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from app.db.models import Dataset, Model
from app.errors import InvalidInput
from app.settings import Settings
from app.storage.server_folders import allowed_server_path

FETCHING_WEIGHTS = ("check_model", "extract", "represent", "finetune")


FETCHING_IMAGES = ("check_dataset", "materialise")


FETCHING_VLM = ("embed_images", "embed_phrases", "embed_classes", "name")


def server_paths(settings: Settings, *datasets: Dataset | None) -> tuple[Path, ...]:
    """Where the data sets lie that are read on the server itself; of one that may no longer be read, nothing."""
    found = list[Path]()
    for dataset in datasets:
        if dataset is not None and dataset.server_path is not None:
            with suppress(InvalidInput):
                found.append(allowed_server_path(dataset.server_path, settings))
    return tuple(found)


def fetches_by_name(stage: str, model: Model | None, dataset: Dataset | None, vlm: Model | None) -> bool:
    """Whether a stage needs the network. No other stage has it: uploads are parsed without, but for images that are read by the very
    stage that fetches a network's weights by name, and for phrases and class names that such a network embeds."""
    fetches_weights = stage in FETCHING_WEIGHTS and model is not None and model.pretrained is not None
    fetches_images = stage in FETCHING_IMAGES and dataset is not None and dataset.hub is not None
    fetches_vlm = stage in FETCHING_VLM and vlm is not None and vlm.pretrained is not None
    return fetches_weights or fetches_images or fetches_vlm
