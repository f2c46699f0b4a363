"""The commands `iis predictors`, `iis predict` and `iis export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.inputs.references import complete
from iis_client.cli.output.profiles import prediction_table, predictor_tables
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import (
    JsonOption,
    KeptOption,
    OutputForm,
    OutputOption,
    SparsityOption,
    require_parent_folder,
    require_single_node,
)
from iis_client.errors import ConfigurationError, require_success

if TYPE_CHECKING:
    from iis_client.client import IISClient

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="PREDICTOR",
        help="A predictor (prd_…); or a job, with --kept or --sparsity to select a predictor.",
        autocompletion=complete("job"),
    ),
]


def predictors(
    job: Annotated[str | None, typer.Argument(help="A finished job; default: all your jobs.", autocompletion=complete("job"))] = None,
    as_json: JsonOption = False,
    output: OutputOption = OutputForm.table,
) -> None:
    """List the predictors of a job: one classifier for each number of concepts kept."""
    with connect() as client:
        job = None if job is None else client.find_id("job", job)
        found = sorted(client.predictors(job), key=lambda one: (one.job, one.kept), reverse=True)
        if job is not None and not found:
            require_success(client.job(job))
    none_found = ["No predictors found; only jobs scored with protocol exact have them."]
    Terminal().answer(found, predictor_tables(found) if found else none_found, as_json=as_json, output=output)


def predict(
    source: SourceArgument,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files.", dir_okay=False)],
    *,
    kept: KeptOption = None,
    sparsity: SparsityOption = None,
    as_json: JsonOption = False,
) -> None:
    """Classify images with a predictor; show the concepts behind each prediction."""
    with connect() as client:
        predictions = client.predict(_predictor_id(client, source, kept, sparsity), *images)
    Terminal().answer(predictions, [prediction_table(predictions)], as_json=as_json)


def export(
    source: SourceArgument,
    to: Annotated[Path, typer.Option(help="File to save it to: .safetensors, .onnx, or .image.onnx with the network.", dir_okay=False)],
    *,
    kept: KeptOption = None,
    sparsity: SparsityOption = None,
) -> None:
    """Save a predictor as a file that works without the service."""
    from iis_client.resources.predictors import export_format_of

    export_format = export_format_of(to)
    require_parent_folder(to, "--to")
    with connect() as client:
        client.export_predictor(_predictor_id(client, source, kept, sparsity), to, export_format)
    Terminal().saved(to)


def _predictor_id(client: IISClient, source: str, kept: int | None, sparsity: float | None) -> str:
    require_single_node(kept, sparsity)
    if not source.startswith("prd_"):
        return client.predictor_of(client.find_id("job", source), kept=kept, sparsity=sparsity).id
    if (kept, sparsity) != (None, None):
        raise ConfigurationError(
            f"--kept and --sparsity select a predictor of a job, and {source} is a predictor; leave them out, or give the job (job_…)."
        )
    return source
