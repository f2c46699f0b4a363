"""The commands `iis compare` and `iis open`."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.inputs.references import complete
from iis_client.cli.output.comparisons import comparison_view
from iis_client.cli.output.terminal import Terminal
from iis_client.cli.settings.options import JsonOption, OutputForm, OutputOption
from iis_client.errors import ConfigurationError

if TYPE_CHECKING:
    from iis_schemas.jobs.views import ScoreJobView


def compare(
    jobs: Annotated[
        list[str],
        typer.Argument(metavar="JOB JOB…", help="Finished score jobs: ids, beginnings of ids, or names.", autocompletion=complete("job")),
    ],
    as_json: JsonOption = False,
    output: OutputOption = OutputForm.table,
) -> None:
    """Show the numbers of several scores side by side, and the settings in which they differ."""
    if len(jobs) < 2:
        raise ConfigurationError("Give two jobs or more to compare.")
    scored: list[ScoreJobView] = []
    with connect() as client:
        for reference in jobs:
            job = client.job(client.find_id("job", reference))
            if job.kind != "score" or job.summary is None:
                raise ConfigurationError(f"Job {job.id} ({job.kind}, {job.state}) has no score to compare.")
            scored.append(job)
    Terminal().answer(scored, comparison_view(scored), as_json=as_json, output=output)


def open_page(
    job: Annotated[
        str,
        typer.Argument(metavar="JOB", help="A job, or a study (std_…).", autocompletion=complete("job")),
    ],
) -> None:
    """Open the web page of a job or a study in a browser."""
    with connect() as client:
        is_study = job.startswith("std_")
        found = client.find_id("study" if is_study else "job", job)
        address = f"{client.base_url}/{'studies' if is_study else 'jobs'}/{found}"
    opened = webbrowser.open(address)
    Terminal().note(f"Opened {address}" if opened else f"No browser found; the address is {address}")
