"""The commands `iis jobs`, `iis result`, `iis cancel` and `iis delete`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iis_client.cli.connection import connect
from iis_client.cli.options import JsonOption, PlotOption, figure_format, require_figure_path
from iis_client.cli.output.batches import batch_lines
from iis_client.cli.output.finetuning import finetune_view
from iis_client.cli.output.jobs import job_table
from iis_client.cli.output.reports import report_view
from iis_client.cli.output.terminal import Terminal
from iis_client.errors import ConfigurationError, require_success

if TYPE_CHECKING:
    from iis_client.client import IISClient
    from iis_schemas.jobs.views import AnyJobView, JobView

JobArgument = Annotated[str, typer.Argument(help="A job (job_…).")]


def jobs(
    state: Annotated[str | None, typer.Option(help="List only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(help="Maximum number of jobs.", min=1)] = 20,
    as_json: JsonOption = False,
) -> None:
    """List your jobs, newest first."""
    with connect() as client:
        listed = list(islice(client.jobs(state=state), limit))
    Terminal().answer(listed, [job_table(listed)], as_json=as_json)


def result(
    job: JobArgument,
    plot: PlotOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Wait until the job has finished.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the result of a finished job."""
    terminal = Terminal(quiet=as_json)
    if plot is not None:
        require_figure_path(plot, "--plot")
    with connect() as client:
        finished = client.job(job)
        if watch:
            finished = follow(client, terminal, job)
        show_result(client, finished, terminal, plot, as_json)


def cancel(job: JobArgument) -> None:
    """Cancel a job."""
    with connect() as client:
        canceled = client.cancel(job)
    Terminal().show(f"Job {canceled.id} is {canceled.state}.")


def delete(jobs: Annotated[list[str], typer.Argument(metavar="JOB…", help="Finished jobs (job_…).")]) -> None:
    """Delete finished jobs with their results, concept libraries, figures and events."""
    terminal = Terminal()
    with connect() as client:
        for job in jobs:
            client.delete_job(job)
            terminal.show(f"Job {job} is deleted.")


def submitted_line(job: JobView) -> str:
    """One line on a submitted job."""
    return f"Job {job.id} is {job.state}. Show its result with: iis result {job.id} --watch"


def follow(client: IISClient, terminal: Terminal, job: str) -> AnyJobView:
    """Show progress until a job has finished. After Ctrl-C the job continues; print how to resume watching."""
    try:
        terminal.watch(job, client.events(job))
        return client.wait(job)
    except KeyboardInterrupt:
        terminal.note(f"Job {job} continues at the service; watch it with: iis result {job} --watch")
        raise typer.Exit(130) from None


def show_result(client: IISClient, job: AnyJobView, terminal: Terminal, plot: Path | None, as_json: bool) -> None:
    """Show the result of a finished job; save its figure to `plot` if given.

    Raises
    ------
    JobFailedError, JobCanceledError
        When the job has no result.
    ConfigurationError
        When `plot` is given and jobs of this kind have no figure.
    """
    require_success(job)
    if job.kind == "explain":
        if plot is not None:
            raise ConfigurationError(f"Job {job.id} explains images and has no curve to plot; leave out --plot.")
        batch = client.batch_result(job)
        terminal.answer(batch, batch_lines(batch), as_json=as_json)
        return
    if job.kind == "finetune":
        if plot is not None:
            raise ConfigurationError(f"Job {job.id} fine-tunes and has no curve to plot; leave out --plot, or score the fine-tuned model.")
        tuned = client.finetune_result(job)
        terminal.answer(tuned, finetune_view(tuned), as_json=as_json)
        return
    scored = client.result(job)
    terminal.answer(scored, report_view(job, scored), as_json=as_json)
    if plot is not None:
        plot.write_bytes(client.plot(job, "arr", figure_format(plot)))
        terminal.saved(plot)
