"""The commands `iis jobs`, `iis result` and `iis cancel`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from iis_client.cli.options import JsonOption, PlotOption, figure_format, require_figure_path
from iis_client.cli.output.terminal import Terminal
from iis_client.client import IISClient
from iis_client.errors import ConfigurationError
from iis_client.transport.polling import require_success
from iis_client.types.scores import Job

JobArgument = Annotated[str, typer.Argument(help="A job (job_…).")]


def jobs(
    state: Annotated[str | None, typer.Option(help="List only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(help="Maximum number of jobs.", min=1)] = 20,
    as_json: JsonOption = False,
) -> None:
    """List your jobs, newest first."""
    with IISClient() as client:
        found = list(islice(client.jobs(state=state), limit))
    Terminal().show_jobs(found, as_json)


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
    with IISClient() as client:
        found = client.job(job)
        if watch:
            found = follow(client, terminal, job)
        show_result(client, found, terminal, plot, as_json)


def cancel(job: JobArgument) -> None:
    """Cancel a job."""
    with IISClient() as client:
        Terminal().show_state(client.cancel(job))


def follow(client: IISClient, terminal: Terminal, job: str) -> Job:
    """Show progress until a job has finished. After Ctrl-C the job continues; print how to resume watching."""
    try:
        terminal.watch(job, client.events(job))
        return client.wait(job)
    except KeyboardInterrupt:
        terminal.note(f"Job {job} continues at the service; watch it with: iis result {job} --watch")
        raise typer.Exit(130) from None


def show_result(client: IISClient, job: Job, terminal: Terminal, plot: Path | None, as_json: bool) -> None:
    """Show the result of a finished job; save its figure to `plot` if given.

    Raises
    ------
    JobFailedError, JobCanceledError
        When the job has no result.
    ConfigurationError
        When `plot` is given and jobs of this kind have no figure.
    """
    require_success(job)
    if job["kind"] == "explain":
        if plot is not None:
            raise ConfigurationError(f"Job {job['id']} explains images and has no curve to plot; leave out --plot.")
        terminal.show_batch(client.batch_result(job["id"]), as_json)
        return
    if job["kind"] == "finetune":
        if plot is not None:
            raise ConfigurationError(
                f"Job {job['id']} fine-tunes and has no curve to plot; leave out --plot, or score the fine-tuned model."
            )
        terminal.show_finetune(client.finetune_result(job["id"]), as_json)
        return
    terminal.show_result(job, client.result(job["id"]), as_json)
    if not as_json and job["protocol"] == "exact":  # protocol reference stores no heads to explain with
        terminal.show(f"Explain the prediction for a test image with: iis explain {job['id']} 0")
    if plot is not None:
        plot.write_bytes(client.plot(job["id"], "arr", figure_format(plot)))
        terminal.saved(plot)
