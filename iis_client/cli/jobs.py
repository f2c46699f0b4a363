"""The commands on jobs that were submitted: which there are, what they found, and canceling one."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from iis_client.cli.options import JsonOption, PlotOption, figure_format, require_figure_place
from iis_client.cli.output.terminal import Terminal
from iis_client.client import IISClient
from iis_client.errors import ConfigurationError
from iis_client.transport.polling import require_success
from iis_client.types.scores import Job


def jobs(
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
    as_json: JsonOption = False,
) -> None:
    """List your jobs, newest first."""
    with IISClient() as client:
        found = list(islice(client.jobs(state=state), limit))
    Terminal().show_jobs(found, as_json)


def result(
    job: str,
    plot: PlotOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Wait for the job when it is not finished.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a job found."""
    terminal = Terminal(quiet=as_json)
    if plot is not None:
        require_figure_place(plot, "--plot")
    with IISClient() as client:
        found = client.job(job)
        if watch:
            found = follow(client, terminal, job)
        show_result(client, found, terminal, plot, as_json)


def cancel(job: str) -> None:
    """Cancel a job."""
    with IISClient() as client:
        Terminal().show_state(client.cancel(job))


def follow(client: IISClient, terminal: Terminal, job: str) -> Job:
    """Stay until a job has finished; whoever leaves before is told that it goes on, and how to come back."""
    try:
        terminal.watch(job, client.events(job))
        return client.wait(job)
    except KeyboardInterrupt:
        terminal.note(f"Job {job} goes on at the service; see it with: iis result {job} --watch")
        raise typer.Exit(130) from None


def show_result(client: IISClient, job: Job, terminal: Terminal, plot: Path | None, as_json: bool) -> None:
    """Show what a finished job found, and save its figure where that was asked for.

    Raises
    ------
    JobFailedError, JobCanceledError
        When it found nothing.
    ConfigurationError
        When a figure is asked for of a job that has none.
    """
    require_success(job)
    if job["kind"] == "explain":
        if plot is not None:
            raise ConfigurationError(f"{job['id']} explains images and has no curve to plot; leave out --plot.")
        terminal.show_batch(client.batch_result(job["id"]), as_json)
        return
    if job["kind"] == "finetune":
        if plot is not None:
            raise ConfigurationError(f"{job['id']} trains networks and has no curve to plot; leave out --plot, or score the model it made.")
        terminal.show_finetune(client.finetune_result(job["id"]), as_json)
        return
    terminal.show_result(job, client.result(job["id"]), as_json)
    if not as_json and job["protocol"] == "exact":  # the other one keeps no heads to explain with
        terminal.show(f"To see why it says what it says of a test image: iis explain {job['id']} 0")
    if plot is not None:
        plot.write_bytes(client.plot(job["id"], "arr", figure_format(plot)))
        terminal.saved(plot)
