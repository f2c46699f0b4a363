"""The commands `iis datasets …`."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.groups import add_delete, add_rename, add_show, add_tag, list_filters, resource_group
from iis_client.cli.inputs.registration import register_dataset, wait_until_ready
from iis_client.cli.output.resources import dataset_table
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.model_options import ManifestColumnOption, ManifestOption, manifest_columns
from iis_client.cli.settings.options import JsonOption, LimitOption, NameOption, OutputForm, OutputOption, TagsOption

app = resource_group("datasets", "List, show, create, rename, tag and delete data sets.")


@app.command("list")
def list_datasets(
    name: NameOption = None,
    tag: TagsOption = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    output: OutputOption = OutputForm.table,
) -> None:
    """List your data sets, newest first."""
    with connect() as client:
        listed = list(islice(client.datasets(**list_filters(name, tag)), limit))
    Terminal().answer(listed, [dataset_table(listed, datetime.now(UTC))], as_json=as_json, output=output)


@app.command()
def create(
    data: Annotated[
        Path, typer.Argument(help="Images: a folder of class folders, or an archive of one; or a file of features.", exists=True)
    ],
    *,
    features: Annotated[bool, typer.Option("--features", help="The file holds features (npz, safetensors), not images.")] = False,
    manifest: ManifestOption = None,
    manifest_column: ManifestColumnOption = None,
    name: Annotated[str | None, typer.Option(help="Name; default: that of the folder or file.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tag; may be repeated.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Upload and register a data set, and wait until a worker has read it."""
    terminal = Terminal(quiet=as_json)
    columns = manifest_columns(manifest, manifest_column)
    kind = "features" if features else None
    with connect() as client:
        dataset = register_dataset(client, terminal, data, manifest, columns, kind=kind, name=name, tags=tag)
        ready = wait_until_ready(client, terminal, dataset, "A worker reads the data set", "Data set")
    terminal.answer(ready, [f"Data set {ready.id} ({ready.name}) is {ready.state}."], as_json=as_json)


add_show(app, "dataset", "data set", lambda client, dataset: client.dataset(dataset))
add_rename(app, "dataset", "data set", lambda client, dataset, changes: client.update_dataset(dataset, **changes))
add_tag(
    app,
    "dataset",
    "data set",
    lambda client, dataset: client.dataset(dataset),
    lambda client, dataset, changes: client.update_dataset(dataset, **changes),
)
add_delete(
    app,
    "dataset",
    "data set",
    lambda client, dataset: client.delete_dataset(dataset),
    "Delete data sets; results of finished jobs stay readable.",
)
