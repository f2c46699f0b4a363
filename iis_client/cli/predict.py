"""The commands on predictors: which a job has, what one says of images, and taking one away as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iis_client.cli.options import JsonOption, KeptOption, SparsityOption, require_folder_of, require_one_node
from iis_client.cli.output.profiles import prediction_table, predictor_tables
from iis_client.cli.output.terminal import Terminal
from iis_client.client import IISClient
from iis_client.errors import ConfigurationError
from iis_client.resources.predictors import export_format_of
from iis_client.transport.polling import require_success

SourceArgument = Annotated[
    str, typer.Argument(metavar="PREDICTOR", help="A predictor (prd_…); or a job (job_…), of which --kept or --sparsity choose one.")
]


def predictors(
    job: Annotated[str | None, typer.Argument(help="A finished job (job_…); without it, all of yours.")] = None, as_json: JsonOption = False
) -> None:
    """List the predictors of a job: a classifier for each number of concepts kept."""
    terminal = Terminal()
    with IISClient() as client:
        found = sorted(client.predictors(job), key=lambda one: (one["job"], one["kept"]), reverse=True)
        if job is not None and not found:
            require_success(client.job(job))
    if as_json:
        terminal.json(found)
    elif found:
        terminal.show(*predictor_tables(found))
    else:
        terminal.show("There are none: a job scored with protocol exact has them.")


def predict(
    source: SourceArgument,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Files.", dir_okay=False)],
    *,
    kept: KeptOption = None,
    sparsity: SparsityOption = None,
    as_json: JsonOption = False,
) -> None:
    """Classify images by the concepts in them."""
    terminal = Terminal()
    with IISClient() as client:
        found = client.predict(_chosen(client, source, kept, sparsity), *images)
    if as_json:
        terminal.json(found)
    else:
        terminal.show(prediction_table(found))


def export(
    source: SourceArgument,
    to: Annotated[Path, typer.Option(help="Where to save it (.safetensors or .onnx).", dir_okay=False)],
    *,
    kept: KeptOption = None,
    sparsity: SparsityOption = None,
) -> None:
    """Save a predictor as a file that works without the service."""
    export_format = export_format_of(to)
    require_folder_of(to, "--to")
    with IISClient() as client:
        client.export_predictor(_chosen(client, source, kept, sparsity), to, export_format)
    Terminal().saved(to)


def _chosen(client: IISClient, source: str, kept: int | None, sparsity: float | None) -> str:
    require_one_node(kept, sparsity)
    if source.startswith("job_"):
        return client.predictor_of(source, kept=kept, sparsity=sparsity)["id"]
    if (kept, sparsity) != (None, None):
        raise ConfigurationError(f"{source} keeps the concepts it keeps; leave out --kept and --sparsity, or name its job.")
    return source
