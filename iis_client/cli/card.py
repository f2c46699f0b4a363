"""The command `iis card`. The text is written in iis_client.model_card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.inputs.references import JobArgument
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import require_parent_folder
from iis_client.errors import NotFoundError

if TYPE_CHECKING:
    from iis_client.client import IISClient
    from iis_schemas.jobs.views import JobView


def card(
    job: JobArgument,
    out: Annotated[Path | None, typer.Option(help="Write to this file; default: print.", dir_okay=False)] = None,
) -> None:
    """Write the block of a Hugging Face model card about a score: evaluation metadata and a section in markdown."""
    from iis_client.model_card import model_card

    terminal = Terminal()
    if out is not None:
        require_parent_folder(out, "--out")
    with connect() as client:
        scored = client.job(client.find_id("job", job))
        result = client.result(scored)
        model, dataset = _names(client, scored)
    text = model_card(result.report, model=model, dataset=dataset, job=scored.id)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        terminal.saved(out)


def _names(client: IISClient, job: JobView) -> tuple[str, str]:
    """Names of the job's model and data set; their ids where they were deleted, and that of the data set where there is no model."""
    try:
        dataset = client.dataset(job.dataset).name
    except NotFoundError:
        dataset = job.dataset
    if job.model is None:
        return dataset, dataset
    try:
        return client.model(job.model).name, dataset
    except NotFoundError:
        return job.model, dataset
