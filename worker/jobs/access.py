"""Which server path a stage may read, and whether its inputs are downloaded by name."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from app.db.models import Dataset, Model
from app.errors import InvalidInput
from app.settings import Settings
from app.storage.server_folders import allowed_server_path


def resolve_server_path(dataset: Dataset | None, settings: Settings) -> Path | None:
    """The resolved path of a data set on the server; None for any other data set, and where the operator allows no reading."""
    if dataset is not None and dataset.server_path is not None:
        with suppress(InvalidInput):
            return allowed_server_path(dataset.server_path, settings)
    return None


def is_downloaded(row: Model | Dataset | None) -> bool:
    """Whether the weights of a model or the images of a data set are downloaded by name, for which a stage needs the network."""
    if isinstance(row, Model):
        return row.pretrained is not None
    return row is not None and row.hub is not None
