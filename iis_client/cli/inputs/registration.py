"""Upload and register the model and the data set of a command, and wait until a worker has checked them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from iis_client.cli.output.terminal import Terminal

if TYPE_CHECKING:
    from iis_client.answers import RegisteredDataset, RegisteredModel
    from iis_client.client import IISClient
    from iis_schemas.datasets import DatasetView
    from iis_schemas.models import ModelView

Checked = TypeVar("Checked", "ModelView", "DatasetView")


def register_model(client: IISClient, terminal: Terminal, checkpoint: Path | None, architecture: str, **settings: Any) -> RegisteredModel:
    """Register a model.

    Parameters
    ----------
    settings : further arguments of `create_model`
    """
    with terminal.upload_bar(checkpoint) as progress:
        return client.create_model(architecture, checkpoint=checkpoint, progress=progress, **settings)


def register_dataset(
    client: IISClient, terminal: Terminal, data: Path, table: Path | None = None, columns: dict[str, str] | None = None, **settings: Any
) -> RegisteredDataset:
    """Register a data set.

    Parameters
    ----------
    table : paths, labels and splits of the images, with the names of its `columns`
    settings : further arguments of `create_dataset`
    """
    manifest = None if table is None else {"upload": client.upload(table).id, **(columns or {})}
    with terminal.upload_bar(data) as progress:
        return client.create_dataset(data, manifest=manifest, progress=progress, **settings)


def wait_until_ready(client: IISClient, terminal: Terminal, resource: Checked, activity: str, noun: str) -> Checked:
    """Wait until a worker has checked a model or data set; show whether it was registered before, and its notes."""
    if getattr(resource, "existed", False):
        terminal.note(f"{noun}: {resource.id} ({resource.name}) has the same content and settings and is used again.")
    with terminal.spinner(activity):
        ready = client.wait_until_ready(resource)
    for note in ready.info.notes if ready.info is not None else ():
        terminal.note(f"{noun}: {note}")
    return ready
