"""Access to data sets on the server: allowed paths, copies of S3 prefixes, and downloads by name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.db.models import Dataset, Model
from app.errors import InvalidInput
from app.settings import Settings
from app.storage.s3_folders import PrefixUnreadable, copy_prefix
from app.storage.server_folders import NOT_ALLOWED, allowed_s3_prefix, allowed_server_path, is_s3
from iis_engine.data.archives.unpacking import ArchiveLimits
from worker.sandbox.outcomes import StageRefused


def resolve_server_path(dataset: Dataset | None, settings: Settings) -> Path | None:
    """The resolved path of a data set on the server; None for any other data set, and where the operator allows no reading."""
    if dataset is not None and dataset.server_path is not None and not is_s3(dataset.server_path):
        with suppress(InvalidInput):
            return allowed_server_path(dataset.server_path, settings)
    return None


def copy_s3_dataset(dataset: Dataset, settings: Settings, target: Path, check: Callable[[], None]) -> Path | None:
    """Copy a data set below an S3 prefix to where stages read it; None for any other data set.

    Only this process has the bucket's credentials; a stage sees files.

    Parameters
    ----------
    target : folder, which does not exist
    check : called between requests; raises to stop

    Raises
    ------
    StageRefused
        Where the operator no longer allows the prefix, or it cannot be read.
    StorageUnavailable
        Where another attempt may succeed.
    """
    if dataset.server_path is None or not is_s3(dataset.server_path):
        return None
    try:
        url = allowed_s3_prefix(dataset.server_path, settings)
        return copy_prefix(
            url,
            target,
            endpoint_url=settings.s3_endpoint_url,
            max_bytes=settings.upload_max_bytes,
            max_files=ArchiveLimits().file_count,
            check=check,
        )
    except InvalidInput as error:
        raise StageRefused("server_path_not_allowed", NOT_ALLOWED, "server_path") from error
    except PrefixUnreadable as error:
        raise StageRefused("server_path_unreadable", str(error), "server_path") from error


def is_downloaded(row: Model | Dataset | None) -> bool:
    """Whether the weights of a model or the images of a data set are downloaded by name, for which a stage needs the network."""
    if isinstance(row, Model):
        return row.pretrained is not None
    return row is not None and row.hub is not None
